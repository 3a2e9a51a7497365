-- When an event was committed: how long its effects have been missing since then.
--
-- Nullable without a default, so adding it rewrites nothing and waits only for the table's lock.
-- Rows of a version that does not write it are taken to be as old as their next repeat.
alter table outbox add column committed_at timestamptz;
