-- What was removed and may be put once more: it counts until its address has ended. Few rows, for a
-- day each; the table is short beside that of messages, and is locked for as long as reading it takes.
create index file_uploads_user_removing_idx on file_uploads (user_id) where status = 'removing';
create index file_uploads_org_removing_idx on file_uploads (org_id)
    where org_id is not null and status = 'removing';
