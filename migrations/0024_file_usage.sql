-- Bytes of files that count towards a quota, by who has them: kept beside the files, so that a new
-- file costs the same however many there are.

-- No foreign key: the janitor counts each owner again from time to time, and removes the row of one
-- that has nothing.
create table file_usage (
    owner_kind text not null
        constraint file_usage_owner_kind_check check (owner_kind in ('organization', 'user')),
    owner_id bigint not null,
    bytes bigint not null,
    -- When the files themselves were added up.
    counted_at timestamptz not null,
    constraint file_usage_pkey primary key (owner_kind, owner_id)
);
-- The janitor's next owner to count again.
create index file_usage_counted_at_idx on file_usage (counted_at);

-- Whether an upload counts: until it is being removed and its address has ended. A constant
-- default: the table is not rewritten.
alter table file_uploads add column is_counted boolean not null default true;
