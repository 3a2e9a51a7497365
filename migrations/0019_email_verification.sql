-- Whether an account has proven its address, and the links that prove it.
--
-- Both columns have constant defaults, so no row is rewritten. Existing accounts, and those that an
-- older version still makes while a deployment is renewed, count as verified.
alter table users
    add column email_verified boolean not null default true,
    -- Set while verification is required of the account: until then it is kept without having been
    -- in an organization. `infinity`: registered before verification was required. Null: not asked for.
    add column verify_email_by timestamptz;
-- Accounts whose time to verify has passed, and those to release when verification is switched off.
create index users_verify_email_by_idx on users (verify_email_by) where verify_email_by is not null;
-- Accounts to ask for verification when it is switched on.
create index users_unverified_idx on users (id) where not email_verified and verify_email_by is null;

create table email_verifications (
    id bigint generated always as identity primary key,
    user_id bigint not null
        constraint email_verifications_user_fkey references users (id) on delete cascade,
    -- SHA-256 of the token.
    token_hash bytea not null constraint email_verifications_token_key unique,
    -- The mail that carries the token, to be withdrawn with it.
    mail_id bigint,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
-- An account's links end together.
create index email_verifications_user_idx on email_verifications (user_id) where used_at is null;
-- What has expired.
create index email_verifications_expires_at_idx on email_verifications (expires_at);

-- A new kind of mail. The constraint is replaced by a wider one: `not valid`, so that the table is
-- not read under the lock.
alter table mails drop constraint mails_kind_check;
alter table mails add constraint mails_kind_check check (kind in
    ('digest', 'org_invite', 'password_reset', 'webhook_failing', 'webhook_disabled', 'verify_email'))
    not valid;
