-- An event that concerns everyone in a large room is planned in several transactions. Until it is
-- done, this is the last member (by user id) who has been decided for; 0 before the first.
-- A nullable column without a default changes no row.
alter table outbox add column planned_to bigint;
