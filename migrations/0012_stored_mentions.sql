-- Planning reads what a text says from the message's row, never from the text.
-- Null in messages that a version before this one wrote: their text is read when they are planned.
-- A nullable column without a default changes no row, however many messages there are.
alter table messages add column mentions_here boolean;

-- How often planning failed with this event while Postgres answered. It survives restarts and new
-- copies of the event on the stream. A constant default changes no row.
alter table outbox add column failures integer not null default 0;
