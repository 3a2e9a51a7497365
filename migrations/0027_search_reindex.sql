-- The words of messages are indexed by the rules of docs/text.md. Messages that an older version
-- indexed are indexed again by the janitor, in order of their ids, also those which an older version
-- writes while a deployment is renewed: everything sent before `ends_at`. The row is gone when that
-- is done; a database without messages has none.
create table search_reindex (
    -- The last message that has been indexed again.
    position bigint not null,
    ends_at timestamptz not null
);
insert into search_reindex
select 0, now() + interval '1 day' where exists (select from messages);
