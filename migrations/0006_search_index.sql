-- no-transaction
-- Finding rare words. What is sent goes to a short list first, so that a send need not find the
-- place of each of its words; the list is bounded, so that emptying it is a pause nobody notices.
create index concurrently messages_search_idx on messages using gin (search) with (fastupdate = on, gin_pending_list_limit = 512);
