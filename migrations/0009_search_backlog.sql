-- no-transaction
-- What still has no words: the janitor's next batch. Empty but after an upgrade or an import.
create index concurrently messages_wordless_idx on messages (id) where search is null and not is_deleted;
