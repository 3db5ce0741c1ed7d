-- Up Migration
-- No transaction

-- Indexes of tables that may be large: they are built while loaders write. What an attempt left that was cut short is
-- not valid, and goes first.
drop index concurrently if exists tracks_features_not_found;
create index concurrently tracks_features_not_found on tracks (features_requested_at)
  where features_status = 'not_found' and features_requests <= 3;

-- What a page has stored. Plays come in about the order of their pages, so a few blocks hold those of a page; an index
-- of another kind would be as large as the primary key.
drop index concurrently if exists plays_page;
create index concurrently plays_page on plays using brin (page_partition, page_offset int8_minmax_multi_ops)
  with (pages_per_range = 64, autosummarize = on);
