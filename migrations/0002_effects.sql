-- What follows from events: webhook deliveries, notifications, mail.
-- The relay records all of it in the transaction that deletes an event's outbox row.
-- An event's id is `evt_r<room>_<seq>` or `evt_o<org>_<seq>`: planned again, it is the same.

-- The log says enough to tell effects apart ------------------------------------------------------

-- Who brought a member in; null for who came by themselves.
alter table room_events add column by_id bigint
    constraint room_events_by_fkey references users (id)
    constraint room_events_by_check check (by_id is null or kind = 'member.joined');
-- A `message.updated` that changed reactions alone: no webhook hears of it, nobody is notified.
alter table room_events add column is_reaction boolean not null default false
    constraint room_events_is_reaction_check check (not is_reaction or kind = 'message.updated');

-- A retried send finds its message. The sender comes first: an index that began with the room, as
-- others do, was confused with them while the table was small, and a plan once made stays.
drop index messages_nonce_key;
create unique index messages_nonce_key on messages (sender_id, nonce, room_id) where nonce is not null;

-- Pages of members.
create index room_members_page_idx on room_members (room_id, id);
create index organization_members_page_idx on organization_members (org_id, id);

-- Webhooks ---------------------------------------------------------------------------------------

create table webhooks (
    id bigint generated always as identity primary key,
    org_id bigint not null constraint webhooks_org_fkey references organizations (id) on delete cascade,
    url text not null constraint webhooks_url_check check (char_length(url) between 1 and 2000),
    secret text not null,
    -- Signs too until it expires.
    previous_secret text,
    previous_secret_expires_at timestamptz,
    events text[] not null,
    include_private boolean not null default false,
    is_active boolean not null default true,
    disabled_reason text,
    -- The number of the newest delivery: 1, 2, 3, … without gaps.
    last_sequence bigint not null default 0,
    -- Attempts that failed since the last that succeeded, and when the first of them did.
    failures_in_row integer not null default 0,
    failing_since timestamptz,
    -- After several failures in a row: one attempt may go through then, all others wait.
    probe_at timestamptz,
    created_at timestamptz not null,
    last_triggered timestamptz,
    constraint webhooks_previous_secret_check
        check ((previous_secret is null) = (previous_secret_expires_at is null))
);
-- An organization's webhooks: the list, and the match of an event.
create index webhooks_org_idx on webhooks (org_id, id);
-- Endpoints that are probed.
create index webhooks_probe_idx on webhooks (probe_at) where probe_at is not null;

-- What is sent, once for all endpoints that hear of an event: the very bytes that are signed.
create table webhook_payloads (
    event_id text primary key,
    org_id bigint not null constraint webhook_payloads_org_fkey references organizations (id) on delete cascade,
    event_type text not null,
    body text not null,
    created_at timestamptz not null
);
-- Cascades from an organization.
create index webhook_payloads_org_idx on webhook_payloads (org_id);

create table webhook_outbox (
    id bigint generated always as identity primary key,
    webhook_id bigint not null constraint webhook_outbox_webhook_fkey references webhooks (id) on delete cascade,
    event_id text not null constraint webhook_outbox_event_fkey references webhook_payloads (event_id) on delete cascade,
    -- Its place among the endpoint's deliveries.
    sequence bigint not null,
    event_type text not null,
    status text not null default 'pending'
        constraint webhook_outbox_status_check check (status in ('pending', 'retrying', 'sent', 'failed')),
    retries integer not null default 0,
    -- Null once there is nothing more to attempt.
    next_attempt_at timestamptz,
    -- When to put it on the queue (again), where that is not `next_attempt_at`: later for what
    -- was put there, or is being attempted, in case that comes to nothing. Who plans a delivery
    -- and puts it on the queue by itself sets it some seconds ahead.
    hand_out_at timestamptz,
    -- Until then the attempt is one worker's alone.
    claimed_until timestamptz,
    last_attempt_at timestamptz,
    last_status_code integer,
    last_error text,
    created_at timestamptz not null,
    constraint webhook_outbox_event_key unique (webhook_id, event_id),
    constraint webhook_outbox_sequence_key unique (webhook_id, sequence),
    constraint webhook_outbox_next_attempt_check
        check ((status in ('pending', 'retrying')) = (next_attempt_at is not null))
) with (fillfactor = 80);
-- The schedule: what is due.
create index webhook_outbox_due_idx on webhook_outbox (coalesce(hand_out_at, next_attempt_at))
    where next_attempt_at is not null;
-- What an endpoint still has to get, when it is back, or disabled.
create index webhook_outbox_open_idx on webhook_outbox (webhook_id, next_attempt_at)
    where next_attempt_at is not null;
-- Replaying what failed.
create index webhook_outbox_failed_idx on webhook_outbox (webhook_id, created_at) where status = 'failed';
-- Cascades from a payload.
create index webhook_outbox_event_idx on webhook_outbox (event_id);

-- Mail -------------------------------------------------------------------------------------------

-- Opens the page that ends e-mail notifications, without a login.
alter table users add column unsubscribe_token uuid not null default gen_random_uuid();
create unique index users_unsubscribe_key on users (unsubscribe_token);
-- When the last digest went out: the next one waits a while.
alter table users add column last_digest_at timestamptz;

create table password_resets (
    id bigint generated always as identity primary key,
    user_id bigint not null constraint password_resets_user_fkey references users (id) on delete cascade,
    token_hash bytea not null constraint password_resets_token_key unique,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at timestamptz
);
create index password_resets_user_idx on password_resets (user_id);

create table mails (
    id bigint generated always as identity primary key,
    kind text not null constraint mails_kind_check check (kind in
        ('digest', 'org_invite', 'password_reset', 'webhook_failing', 'webhook_disabled')),
    -- Whom it is for; null when they have no account.
    user_id bigint constraint mails_user_fkey references users (id) on delete cascade,
    to_email text not null,
    -- What the template needs; a digest takes its content from its notifications when it is sent.
    data jsonb not null,
    -- The token of its link. Gone once the mail is: elsewhere only hashes are kept.
    secret text,
    -- `handing`: given to the SMTP server, the answer not recorded yet.
    status text not null default 'due'
        constraint mails_status_check check (status in ('due', 'handing', 'sent', 'failed', 'dropped')),
    attempts integer not null default 0,
    next_attempt_at timestamptz,
    -- When it was last given to the SMTP server: an answer that was never recorded shows by it.
    handed_at timestamptz,
    last_error text,
    created_at timestamptz not null,
    sent_at timestamptz,
    constraint mails_next_attempt_check check ((status = 'due') = (next_attempt_at is not null))
);
-- Answers that were never recorded.
create index mails_handing_idx on mails (handed_at) where status = 'handing';
-- The schedule.
create index mails_due_idx on mails (next_attempt_at) where next_attempt_at is not null;
-- Cascades from a user.
create index mails_user_idx on mails (user_id);

-- Notifications ----------------------------------------------------------------------------------

create table notifications (
    id bigint generated always as identity primary key,
    user_id bigint not null constraint notifications_user_fkey references users (id) on delete cascade,
    event_id text not null,
    notification_type text not null constraint notifications_type_check check (notification_type in
        ('mention', 'dm', 'org_invite', 'room_invite', 'role_change')),
    title text not null,
    -- Null when it is about a message: the text is then read from there, so a deleted one is nowhere.
    message text,
    data jsonb not null,
    room_id bigint constraint notifications_room_fkey references rooms (id) on delete cascade,
    message_id bigint constraint notifications_message_fkey references messages (id) on delete cascade,
    -- The message's place: reading past it marks this as read.
    seq bigint,
    is_read boolean not null default false,
    created_at timestamptz not null,
    read_at timestamptz,
    -- When to look whether to mail it; null when that is settled.
    email_due_at timestamptz,
    -- The digest that tells of it.
    mail_id bigint constraint notifications_mail_fkey references mails (id) on delete set null,
    constraint notifications_event_key unique (user_id, event_id),
    constraint notifications_read_check check (is_read = (read_at is not null)),
    constraint notifications_message_check check ((message_id is null) = (seq is null))
);
-- The list, newest first.
create index notifications_user_idx on notifications (user_id, id);
-- The count of unread ones, and those that reading a room marks.
create index notifications_unread_idx on notifications (user_id, room_id, seq) where not is_read;
-- Cascades from a room, and from a message.
create index notifications_room_idx on notifications (room_id) where room_id is not null;
create index notifications_message_idx on notifications (message_id) where message_id is not null;
-- The notifier's schedule.
create index notifications_email_due_idx on notifications (email_due_at) where email_due_at is not null;
-- What a digest tells of.
create index notifications_mail_idx on notifications (mail_id) where mail_id is not null;

-- Why somebody was, or was not, told: one row per candidate, event and channel. The last word on
-- a channel stands.
create table notification_decisions (
    user_id bigint not null constraint notification_decisions_user_fkey references users (id) on delete cascade,
    event_id text not null,
    channel text not null constraint notification_decisions_channel_check check (channel in ('app', 'email')),
    outcome text not null constraint notification_decisions_outcome_check check (outcome in ('sent', 'suppressed')),
    -- Why it was suppressed.
    reason text constraint notification_decisions_reason_check check (reason in
        ('read', 'online', 'muted', 'deleted', 'preference', 'rate')),
    message_id bigint constraint notification_decisions_message_fkey references messages (id) on delete cascade,
    decided_at timestamptz not null,
    primary key (user_id, event_id, channel),
    constraint notification_decisions_reason_outcome_check check ((outcome = 'suppressed') = (reason is not null))
);
-- "Why was I (not) notified of this message?", and cascades from it.
create index notification_decisions_message_idx on notification_decisions (message_id, user_id)
    where message_id is not null;
