-- Keys by which accounts are found: their names in the form in which the application compares texts,
-- because Unicode's case folding and normal forms are not Postgres'.
--
-- All are nullable, so no row is rewritten. An older version that still runs writes names without
-- keys; the janitor computes missing and outdated keys in batches.
alter table users
    -- First and last name, a line each, that the keys were computed from. Other names, or null: the
    -- keys are not valid.
    add column keyed_names text,
    -- The name that mentions the account.
    add column mention_key text,
    -- First and last name, for the search among members.
    add column name_key text,
    -- The address with its domain in Unicode, where that differs from the address.
    add column email_key text;
-- Resolving mentions. Making it locks `users` against writes: some seconds per million accounts.
create index users_mention_key_idx on users (mention_key);
-- Accounts whose keys are missing or outdated, for the janitor. As above; it is empty in the end.
create index users_unkeyed_idx on users (id)
    where keyed_names is distinct from first_name || E'\n' || last_name;
