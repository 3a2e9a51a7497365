-- no-transaction
-- Which messages carry an upload: who may fetch it, and whether it can go.
create index concurrently messages_upload_idx on messages (upload_id) where upload_id is not null;
