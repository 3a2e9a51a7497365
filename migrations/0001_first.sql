-- The first schema: accounts, organizations, rooms, the log, the outbox.
-- Ids are identities; times are set by the application's clock, so that tests can move it.

-- Accounts -----------------------------------------------------------------------------------

create table users (
    id bigint generated always as identity primary key,
    email text not null,
    password_hash text not null,
    first_name text not null default '',
    last_name text not null default '',
    avatar_url text,
    email_notifications text not null default 'all'
        constraint users_email_notifications_check check (email_notifications in ('all', 'mentions', 'none')),
    created_at timestamptz not null,
    last_login timestamptz
);
-- Sign-in, invites and mentions compare addresses without ASCII case.
create unique index users_email_key on users (lower(email));
-- Mentions by name: `@first_name.last_name`.
create index users_name_idx on users (lower(first_name || '.' || last_name));

create table logins (
    id bigint generated always as identity primary key,
    user_id bigint not null constraint logins_user_fkey references users (id) on delete cascade,
    user_agent text not null,
    created_at timestamptz not null,
    last_seen_at timestamptz not null,
    revoked_at timestamptz
);
-- A user's sessions, and the revocation of all of them.
create index logins_user_idx on logins (user_id) where revoked_at is null;
-- What nodes load at start and look at every second: the logins revoked of late.
create index logins_revoked_idx on logins (revoked_at) where revoked_at is not null;

create table refresh_tokens (
    hash bytea primary key,
    login_id bigint not null constraint refresh_tokens_login_fkey references logins (id) on delete cascade,
    -- The successor is HMAC-SHA256(presented token, salt): it can be given again though only hashes are kept.
    salt bytea not null,
    predecessor bytea,
    successor_presented_at timestamptz,
    expires_at timestamptz not null
);
-- Cascades from a login.
create index refresh_tokens_login_idx on refresh_tokens (login_id);

-- Organizations ------------------------------------------------------------------------------

create table organizations (
    id bigint generated always as identity primary key,
    name text not null constraint organizations_name_check check (char_length(name) between 1 and 120),
    last_seq bigint not null default 0,
    created_at timestamptz not null
);

create table organization_members (
    id bigint generated always as identity primary key,
    org_id bigint not null constraint organization_members_org_fkey references organizations (id) on delete cascade,
    user_id bigint not null constraint organization_members_user_fkey references users (id),
    role text not null constraint organization_members_role_check check (role in ('ADMIN', 'MANAGER', 'MEMBER')),
    joined_at timestamptz not null,
    constraint organization_members_key unique (org_id, user_id)
);
-- A user's organizations.
create index organization_members_user_idx on organization_members (user_id, org_id);

-- Who shared an organization once may still look each other up, also when it is gone: one row
-- for each time that someone was in it.
create table organization_former_members (
    org_id bigint not null,
    user_id bigint not null constraint organization_former_members_user_fkey references users (id),
    joined_at timestamptz not null,
    left_at timestamptz not null,
    primary key (org_id, user_id, joined_at)
);
create index organization_former_members_user_idx on organization_former_members (user_id, org_id);

create table organization_invites (
    id bigint generated always as identity primary key,
    org_id bigint not null constraint organization_invites_org_fkey references organizations (id) on delete cascade,
    email text not null,
    token_hash bytea not null constraint organization_invites_token_key unique,
    role text not null constraint organization_invites_role_check check (role in ('ADMIN', 'MANAGER', 'MEMBER')),
    created_by bigint not null constraint organization_invites_creator_fkey references users (id),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    accepted_at timestamptz
);
-- One open invite per address; one that has expired is deleted before another is made.
create unique index organization_invites_open_key on organization_invites (org_id, lower(email))
    where accepted_at is null;
-- The list of open invites.
create index organization_invites_org_idx on organization_invites (org_id, id);

-- Rooms --------------------------------------------------------------------------------------

create table rooms (
    id bigint generated always as identity primary key,
    org_id bigint not null constraint rooms_org_fkey references organizations (id) on delete cascade,
    name text not null constraint rooms_name_check check (char_length(name) <= 80),
    topic text not null default '' constraint rooms_topic_check check (char_length(topic) <= 250),
    -- The people whom a direct message was made for, ascending, joined by commas; null for other rooms.
    dm_key text,
    access_level text not null
        constraint rooms_access_level_check check (access_level in ('PUBLIC', 'MANAGER_ONLY', 'PRIVATE')),
    auto_join boolean not null default false,
    created_by bigint not null constraint rooms_creator_fkey references users (id),
    created_at timestamptz not null,
    first_seq bigint not null default 1,
    last_seq bigint not null default 0,
    last_message_at timestamptz,
    members_count bigint not null default 0 constraint rooms_members_count_check check (members_count >= 0),
    constraint rooms_dm_key unique (org_id, dm_key),
    constraint rooms_seq_check check (first_seq >= 1 and last_seq >= first_seq - 1),
    constraint rooms_auto_join_check check (not auto_join or access_level <> 'PRIVATE')
) with (fillfactor = 50);
-- What a member of an organization could join; who is put into rooms on arrival.
create index rooms_org_idx on rooms (org_id, id);

create table room_members (
    id bigint generated always as identity primary key,
    room_id bigint not null constraint room_members_room_fkey references rooms (id) on delete cascade,
    user_id bigint not null constraint room_members_user_fkey references users (id),
    last_read_msg_id bigint,
    last_read_seq bigint not null,
    notify text not null default 'all'
        constraint room_members_notify_check check (notify in ('all', 'mentions', 'none')),
    section text,
    starred boolean not null default false,
    joined_at timestamptz not null,
    constraint room_members_key unique (room_id, user_id)
);
-- A user's rooms.
create index room_members_user_idx on room_members (user_id, room_id);

-- The log ------------------------------------------------------------------------------------
-- A place in a room's log is either a message's creation (`messages.seq`) or a row of
-- `room_events`: together 1, 2, 3, … without gaps, in the order of commitment.

create table messages (
    id bigint generated always as identity primary key,
    org_id bigint not null,
    room_id bigint not null constraint messages_room_fkey references rooms (id) on delete cascade,
    seq bigint not null,
    sender_id bigint not null constraint messages_sender_fkey references users (id),
    body text not null,
    file_url text,
    reply_to bigint,
    mentions_room boolean not null default false,
    nonce text,
    content_hash bytea not null,
    is_deleted boolean not null default false,
    created_at timestamptz not null,
    edited_at timestamptz,
    constraint messages_seq_key unique (room_id, seq)
);
-- A retried send finds its message.
create unique index messages_nonce_key on messages (room_id, sender_id, nonce) where nonce is not null;
-- Pages of a room's messages, bounded by message ids.
create index messages_room_id_idx on messages (room_id, id);
-- Unread mentions of everyone.
create index messages_mentions_room_idx on messages (room_id, seq) where mentions_room;

create table message_mentions (
    message_id bigint not null constraint message_mentions_message_fkey references messages (id) on delete cascade,
    user_id bigint not null constraint message_mentions_user_fkey references users (id),
    room_id bigint not null,
    seq bigint not null,
    primary key (message_id, user_id)
);
-- Unread mentions of one reader.
create index message_mentions_user_idx on message_mentions (user_id, room_id, seq);

create table message_reactions (
    id bigint generated always as identity,
    message_id bigint not null constraint message_reactions_message_fkey references messages (id) on delete cascade,
    user_id bigint not null constraint message_reactions_user_fkey references users (id),
    emoji text not null,
    created_at timestamptz not null,
    primary key (message_id, emoji, user_id)
);

create table room_events (
    room_id bigint not null constraint room_events_room_fkey references rooms (id) on delete cascade,
    seq bigint not null,
    kind text not null constraint room_events_kind_check check (kind in
        ('message.updated', 'message.deleted', 'member.joined', 'member.left', 'room.updated')),
    -- What an update or delete is about. The text is read from the message as it is now.
    message_id bigint constraint room_events_message_fkey references messages (id) on delete cascade,
    -- Who did it; for a member event, who joined or left.
    user_id bigint not null constraint room_events_user_fkey references users (id),
    -- The changes of a `room.updated`.
    data jsonb,
    created_at timestamptz not null,
    primary key (room_id, seq),
    constraint room_events_message_check check ((kind like 'message.%') = (message_id is not null)),
    constraint room_events_data_check check ((kind = 'room.updated') = (data is not null))
);
-- Cascades from a message.
create index room_events_message_idx on room_events (message_id) where message_id is not null;

-- The outbox ---------------------------------------------------------------------------------
-- A row exists exactly as long as the effects of its event do not. It points at the event:
-- a room's event is rendered from the log as it is then, so a deleted text is nowhere else.

create table outbox (
    id bigint generated always as identity primary key,
    room_id bigint,
    org_id bigint,
    seq bigint not null,
    -- An organization's event: it has no log of its own.
    payload jsonb,
    publish_after timestamptz not null,
    attempts integer not null default 0,
    constraint outbox_subject_check check (num_nonnulls(room_id, org_id) = 1)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
-- What planning settles. Partial, so that a room's event has one way to be found: of two indexes
-- that both hold `seq`, a plan made while the table was empty may choose the wrong one.
create unique index outbox_room_key on outbox (room_id, seq) where room_id is not null;
create unique index outbox_org_key on outbox (org_id, seq) where org_id is not null;
-- The sweep: what is due to be published again.
create index outbox_publish_after_idx on outbox (publish_after);

-- What could not be planned, with the reason: set aside, in nobody's way.
create table outbox_dead (
    id bigint primary key,
    room_id bigint,
    org_id bigint,
    seq bigint not null,
    payload jsonb,
    reason text not null,
    died_at timestamptz not null
);
