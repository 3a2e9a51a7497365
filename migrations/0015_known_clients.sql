-- Addresses and devices that accounts have signed in from: strangers' failed sign-ins do not block
-- them. The number per account is bounded (`domain::limits`); the janitor deletes expired ones.
create table known_addresses (
    user_id bigint not null constraint known_addresses_user_fkey references users (id) on delete cascade,
    -- An IPv4 address, or the /64 of an IPv6 address.
    prefix text not null,
    last_seen_at timestamptz not null,
    primary key (user_id, prefix)
);
-- The janitor's query for expired ones.
create index known_addresses_last_seen_at_idx on known_addresses (last_seen_at);

create table device_tokens (
    -- SHA-256 of the token.
    token_hash bytea primary key,
    user_id bigint not null constraint device_tokens_user_fkey references users (id) on delete cascade,
    last_seen_at timestamptz not null
);
-- An account's tokens: the oldest beyond the bound, and all when the account is deleted.
create index device_tokens_user_idx on device_tokens (user_id, last_seen_at);
-- The janitor's query for expired ones.
create index device_tokens_last_seen_at_idx on device_tokens (last_seen_at);
