-- no-transaction
-- One notification for each message, person and type.
create unique index concurrently notifications_once_idx
    on notifications (once_for, user_id, notification_type) where once_for is not null;
