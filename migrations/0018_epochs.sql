-- The histories that the numbers in this database belonged to, oldest first; the newest is the
-- present one. Rows are only added: one when the first api starts, one whenever acknowledged events
-- may have been lost. `number` is the primary key so that nodes that notice the same change at once
-- add one row together. A handful of rows; the lookup of the newest uses the primary key.
create table epochs (
    number bigint not null,
    -- What clients see: opaque.
    epoch text not null,
    -- Of the Postgres cluster that wrote the row: `pg_control_system()`.
    system_identifier bigint not null,
    -- Its timeline: the first eight digits of the name of the WAL file being written.
    timeline bigint not null,
    reason text not null,
    -- Postgres' time: for operators, no rule reads more from it than how long ago it was.
    created_at timestamptz not null,
    constraint epochs_pkey primary key (number),
    constraint epochs_number_check check (number > 0),
    constraint epochs_epoch_key unique (epoch),
    constraint epochs_epoch_check check (epoch ~ '^[0-9a-f]{16}$'),
    constraint epochs_reason_check
        check (reason in ('first', 'restored', 'promoted', 'head_fell', 'operator'))
);

-- The epoch in which the event was committed: a part of its id, since another event may get its place
-- after a restore. Null where a version wrote it that knew no epochs.
alter table outbox add column epoch text;
