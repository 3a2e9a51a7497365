-- Times within a room rise strictly with the places of its log, whatever clocks say.
--
-- `last_event_at` is the time of the room's last event: the next one is later. Null in a room whose
-- log has not been put in order yet.
--
-- `ordered_seq` is null in a room whose times rise. Earlier versions gave equal or falling times;
-- in the rooms that they made it is the place up to which the janitor has put them in order.
-- Both are added without rewriting the table.
alter table rooms
    add column last_event_at timestamptz,
    add column ordered_seq bigint default 0;
alter table rooms alter column ordered_seq set default null;

-- The janitor's next room to put in order. One row for each room that there is; made in a moment.
create index rooms_ordered_seq_idx on rooms (id) where ordered_seq is not null;
