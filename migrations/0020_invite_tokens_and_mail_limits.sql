-- Two tokens per invite, tokens that do not wait longer than they work, and limits on mail.

-- The token in the invite's mail, which proves the address; `token_hash` is that of the token in
-- the answer, which does not.
alter table organization_invites
    add column mail_token_hash bytea,
    -- The mail that carries the token, to be withdrawn with the invite.
    add column mail_id bigint;
-- Accepting by the mailed token. Invites are few: the index is made while writes to them wait.
create unique index organization_invites_mail_token_key on organization_invites (mail_token_hash)
    where mail_token_hash is not null;
-- Withdrawing what someone invited, when they lose the right to.
create index organization_invites_creator_idx on organization_invites (created_by, org_id)
    where accepted_at is null;

alter table password_resets add column mail_id bigint;

-- Until when the token in `secret` works: a mail that waits longer is dropped.
alter table mails add column secret_expires_at timestamptz;
create index mails_secret_expires_at_idx on mails (secret_expires_at) where secret is not null;

-- Mails sent at somebody's wish, by day (UTC): nothing that they delete takes one back.
create table mail_counts (
    scope text not null constraint mail_counts_scope_check check (scope in
        ('account', 'organization', 'address', 'verification')),
    -- The id of an account or organization; of an address, the SHA-256 in base64.
    key text not null,
    day_start timestamptz not null,
    count integer not null,
    primary key (scope, key, day_start)
);
-- Days that are over.
create index mail_counts_day_start_idx on mail_counts (day_start);

-- Who created it, to limit how many one account creates. Null: created by an older version. No
-- foreign key: accounts are never deleted as rows.
alter table organizations add column created_by bigint;
-- The organizations that one account created. The table is small: writes to it wait meanwhile.
create index organizations_created_by_idx on organizations (created_by) where created_by is not null;
