-- What was said of a message elsewhere goes with it.

-- Which message a payload tells of. No foreign key: whoever removes messages removes these first.
alter table webhook_payloads add column message_id bigint;
create index webhook_payloads_message_idx on webhook_payloads (message_id) where message_id is not null;
