-- Up Migration

-- The shown windows of a user, as a list of [oldest, newest, edges]; see services/loader/windows.ts. A loader locks the
-- user's row while it works on pages of that user.
create table shown_windows (
  user_id bigint primary key,
  windows jsonb not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- When the page's record was made, because a topic that is made again repeats its places. Null if unknown.
alter table plays add column page_timestamp timestamptz(3);

-- Items of pages that are not plays; the plays are in plays.
create table shown_items (
  user_id bigint not null,
  at timestamptz(3) not null,
  item text collate "C" not null,
  primary key (user_id, at, item)
);

-- True until the next page with something new leaves the gap open; only then is its event published.
alter table gaps add column awaits_page boolean not null default false;
-- The page that closed the gap; null if the gap is open or was closed in another way.
alter table gaps add column closed_by_source text;
alter table gaps add column closed_by_partition integer;
alter table gaps add column closed_by_offset bigint;
-- A gap may move to bounds that another gap had.
alter table gaps drop constraint gaps_user_id_after_before_key;

drop index gaps_untold;
create index gaps_untold on gaps (id)
  where (opening_told_at is null and not awaits_page) or (closed_at is not null and closing_told_at is null);
