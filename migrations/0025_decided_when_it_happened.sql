-- Effects are decided by what was the case when an event happened, however late it is planned.
-- All columns are nullable or have a constant default: no row is rewritten.

-- Whether the room was PRIVATE when the event happened. Null by an earlier version: as it is now.
alter table outbox add column is_private boolean;

-- The version of the organization's webhooks then: which of them hear of the event. Null by an
-- earlier version: those of now.
alter table outbox add column webhooks_version bigint;

-- The place of the event (the message's own, or that of an edit) that began to name this person:
-- that event tells them. Null by an earlier version.
-- `is_current`: whether the text still names them.
alter table message_mentions
    add column event_seq bigint,
    add column is_current boolean not null default true;

-- The place of the event that began to say `@room`, or `@here`. Null where none has, and by an
-- earlier version.
alter table messages
    add column room_said_seq bigint,
    add column here_said_seq bigint;

-- How often an organization's webhooks have changed: made, switched on or off, set to hear of
-- something else. No row where they never have.
create table webhook_versions (
    org_id bigint primary key
        constraint webhook_versions_org_fkey references organizations (id) on delete cascade,
    version bigint not null
);

-- What a webhook was set to until a version. What it is set to now stands in its row. Before it was
-- made it was not active. At most 100 changes of each are kept.
create table webhook_changes (
    webhook_id bigint not null
        constraint webhook_changes_webhook_fkey references webhooks (id) on delete cascade,
    until_version bigint not null,
    is_active boolean not null,
    events text[] not null,
    include_private boolean not null,
    constraint webhook_changes_pkey primary key (webhook_id, until_version)
);

-- Who was online when `@here` was said: told when the event is planned, whoever is online then.
-- Recorded right after the message; where it is missing, the planner asks.
create table here_said (
    message_id bigint not null
        constraint here_said_message_fkey references messages (id) on delete cascade,
    seq bigint not null,
    users bigint[] not null,
    constraint here_said_pkey primary key (message_id, seq)
);

-- The message of a notification: one for each person and type, whoever plans which event of it, and
-- when. Null by an earlier version, and where there is no message. The index is made by the next file.
alter table notifications add column once_for bigint;

-- Whom a stored payload tells of, so that their address can be taken out. Null where it tells of
-- nobody, and by an earlier version.
alter table webhook_payloads add column user_id bigint;
-- Payloads that tell of a deleted account.
create index webhook_payloads_user_idx on webhook_payloads (user_id) where user_id is not null;

-- Invites to the address of an account that is deleted. The table is small: invites expire.
create index organization_invites_email_idx on organization_invites (lower(email));
