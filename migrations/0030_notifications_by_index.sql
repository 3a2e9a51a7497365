-- no-transaction
-- Notifications that name a deleted account.
create index concurrently notifications_by_idx on notifications (((data ->> 'by')::bigint));
