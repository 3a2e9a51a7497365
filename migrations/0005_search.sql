-- What messages are found by: their words with their places, their room (`#12`) and their sender
-- (`@34`), as `domain::search` cuts them out. Null for what is not to be found: deleted messages,
-- and rows from before, which the janitor fills in.
alter table messages add column search tsvector;
