-- What is forgotten in time: how long, and what still has to go.

-- How long -------------------------------------------------------------------------------------

-- Fewer days than configured, or null for those; nothing goes while there is a legal hold.
alter table organizations
    add column retention_days integer
        constraint organizations_retention_days_check check (retention_days between 1 and 36500),
    add column legal_hold boolean not null default false;

-- The instant up to which an organization's messages have expired; `-infinity` when all are kept.
-- The configured days are a setting of the connection: 0, or none, keeps all.
create function kept_since(org bigint, at timestamptz) returns timestamptz
language sql stable parallel safe
begin atomic
    select case
        when o.legal_hold or d.days is null then timestamptz '-infinity'
        else $2 - make_interval(hours => 24 * d.days) end
    from organizations o
    cross join lateral (
        select least(nullif(nullif(current_setting('chatboard.retention_days', true), '')::integer, 0),
                     o.retention_days) as days
    ) d
    where o.id = $1;
end;

-- The first place of a room's log that has not expired: its end + 1 when all has. Times rise with
-- places, so it is found by halving; mostly the first look is enough.
create function log_floor(room bigint, at timestamptz) returns bigint
language plpgsql stable parallel safe as $$
declare
    kept bigint;
    gone bigint;
    middle bigint;
    since timestamptz;
begin
    select r.first_seq, r.last_seq + 1, kept_since(r.org_id, at) into middle, kept, since
    from rooms r where r.id = room;
    if since is null or since = '-infinity' or middle >= kept then
        return middle;
    end if;
    gone := middle - 1;
    while gone + 1 < kept loop
        -- The row comparison names the one index that serves, whatever the planner believes.
        if coalesce(
            (select m.created_at from (
                 select room_id, seq, created_at from messages
                 where (room_id, seq) >= (room, middle) order by room_id, seq limit 1
             ) m where m.room_id = room and m.seq = middle),
            (select e.created_at from room_events e where e.room_id = room and e.seq = middle)
        ) > since then
            kept := middle;
            if gone + 1 = middle then
                return middle;
            end if;
        else
            gone := middle;
        end if;
        middle := (gone + kept) / 2;
    end loop;
    return kept;
end
$$;

-- What still has to go -------------------------------------------------------------------------

-- Stretches of rooms' logs, before `first_seq`, whose rows are removed in batches. Whoever locks
-- the row removes the next batch. No foreign key: a room may go before its past has.
create table log_trims (
    room_id bigint primary key,
    org_id bigint not null,
    from_seq bigint not null,
    to_seq bigint not null,
    constraint log_trims_seq_check check (from_seq < to_seq)
);

-- What was removed of an organization, and why: one row for each run of a janitor over it.
create table purges (
    id bigint generated always as identity primary key,
    org_id bigint not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    -- How many of each kind: {"messages": 12, …}.
    removed jsonb not null
);
-- An organization's records, newest first.
create index purges_org_idx on purges (org_id, id);
-- Their own end.
create index purges_started_at_idx on purges (started_at);

-- What expires by itself: each index finds what is due ---------------------------------------------

create index refresh_tokens_expires_at_idx on refresh_tokens (expires_at);
create index organization_invites_expires_at_idx on organization_invites (expires_at);
create index password_resets_expires_at_idx on password_resets (expires_at);
create index mails_settled_idx on mails (created_at) where status in ('sent', 'failed', 'dropped');
create index webhook_payloads_created_at_idx on webhook_payloads (created_at);
create index outbox_dead_died_at_idx on outbox_dead (died_at);
-- Those of a message go with it.
create index notifications_alone_idx on notifications (created_at) where message_id is null;
create index notification_decisions_alone_idx on notification_decisions (decided_at)
    where message_id is null;
