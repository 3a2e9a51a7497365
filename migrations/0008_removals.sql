-- What is deleted goes at once for everyone, and in batches from the tables.
--
-- Dropping a foreign key takes a short lock on both tables. The rows' owners are held together by
-- the room's lock instead: who writes a message, an event or a membership holds the room's row,
-- which is gone once the room is.
alter table messages drop constraint messages_room_fkey;
alter table room_events drop constraint room_events_room_fkey;
alter table room_members drop constraint room_members_room_fkey;
alter table notifications drop constraint notifications_room_fkey;
alter table webhook_payloads drop constraint webhook_payloads_org_fkey;
alter table webhooks drop constraint webhooks_org_fkey;

-- What was deleted and still has rows. Whoever locks the row removes the next batch.
create table removals (
    kind text not null constraint removals_kind_check check (kind in ('room', 'org', 'user')),
    id bigint not null,
    -- Whose record says how much it was; null for an account.
    org_id bigint,
    deleted_at timestamptz not null,
    primary key (kind, id)
);
-- The first that was deleted comes first.
create index removals_deleted_at_idx on removals (deleted_at);

-- An account that was deleted stays as an empty one, so that what it said stays.
alter table users add column deleted_at timestamptz;
