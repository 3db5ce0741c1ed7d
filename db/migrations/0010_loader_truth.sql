-- Up Migration

-- How often audio features of a track were asked for: what was not found is asked for again after a week, a month and
-- three months, and then no more.
alter table tracks add column features_requests smallint not null default 0;
create index tracks_features_not_found on tracks (features_requested_at)
  where features_status = 'not_found' and features_requests <= 3;

-- Whoever forgets asks for the users who were erased of late.
create index erased_users_at on erased_users (erased_at);

-- What a page has stored. Plays come in about the order of their pages, so a few blocks hold those of a page; an index
-- of another kind would be as large as the primary key.
create index plays_page on plays using brin (page_partition, page_offset int8_minmax_multi_ops)
  with (pages_per_range = 64, autosummarize = on);
