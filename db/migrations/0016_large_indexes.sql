-- Up Migration
-- No transaction

-- Indexes of tables that may be large: they are built while loaders write. An attempt that was cut short leaves an
-- invalid index, which is dropped first.
drop index concurrently if exists tracks_features_not_found;
create index concurrently tracks_features_not_found on tracks (features_requested_at)
  where features_status = 'not_found' and features_requests <= 3;

-- Finds the plays of a page. Plays come in about the order of their pages, so a few blocks hold those of a page. A
-- B-tree would be as large as the primary key.
drop index concurrently if exists plays_page;
create index concurrently plays_page on plays using brin (page_partition, page_offset int8_minmax_multi_ops)
  with (pages_per_range = 64, autosummarize = on);
