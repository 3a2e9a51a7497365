-- Files: what was uploaded to the object store, and which message carries it.

-- An object of the store is never without its row: the row is made before the address under
-- which the object is put, and goes after the object is gone.
create table file_uploads (
    id uuid primary key,
    -- The order of lists.
    number bigint generated always as identity,
    user_id bigint not null
        constraint file_uploads_user_fkey references users (id),
    filename text not null,
    content_type text not null,
    file_size bigint not null
        constraint file_uploads_file_size_check check (file_size > 0),
    -- Where it is in the store: random, and of nothing that a client said.
    object_key text not null
        constraint file_uploads_object_key_key unique,
    status text not null
        constraint file_uploads_status_check check (status in ('pending', 'completed', 'removing')),
    created_at timestamptz not null,
    uploaded_at timestamptz,
    -- When it is removed unless it is completed, or posted, before; null once it was posted.
    expires_at timestamptz,
    -- The end of the address under which it is put: no row goes before that.
    put_until timestamptz not null,
    -- When a message first carried it, and of which organization.
    posted_at timestamptz,
    org_id bigint,
    -- A message that carried it has gone: whether another does is still to be seen.
    is_let_go boolean not null default false,
    -- Of images.
    width integer,
    height integer,
    preview_key text,
    preview_state text not null default 'none'
        constraint file_uploads_preview_state_check
        check (preview_state in ('none', 'due', 'made', 'failed')),
    -- Until when whoever makes the preview has it for itself, and how often that was tried.
    preview_until timestamptz,
    preview_tries integer not null default 0
);
-- A person's uploads, newest first, and how much they hold.
create index file_uploads_user_idx on file_uploads (user_id, number);
-- How much a person holds.
create index file_uploads_user_size_idx on file_uploads (user_id) include (file_size)
    where status <> 'removing';
-- How much an organization holds.
create index file_uploads_org_idx on file_uploads (org_id) include (file_size)
    where org_id is not null and status <> 'removing';
-- What is past its time.
create index file_uploads_expires_at_idx on file_uploads (expires_at) where expires_at is not null;
-- What a message let go of.
create index file_uploads_let_go_idx on file_uploads (number) where is_let_go;
-- What is being removed.
create index file_uploads_removing_idx on file_uploads (expires_at) where status = 'removing';
-- Previews to be made.
create index file_uploads_previews_idx on file_uploads (number) where preview_state = 'due';

-- A new column of nulls: the reference is not checked against the rows that are there.
alter table messages add column upload_id uuid
    constraint messages_upload_fkey references file_uploads (id);
