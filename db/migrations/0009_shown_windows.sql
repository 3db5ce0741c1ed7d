-- Up Migration

-- What pages showed of a user's time, as stretches between which nothing connects: a list of [oldest, newest, edges],
-- see services/loader/windows.ts. One row for each user, which a loader locks while it works on pages of that user.
create table shown_windows (
  user_id bigint primary key,
  windows jsonb not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- When the record of the page was made: a place comes again when a topic is made again. null: not known.
alter table plays add column page_timestamp timestamptz(3);

-- Items that pages showed and that are no plays: what is known of plays is in plays.
create table shown_items (
  user_id bigint not null,
  at timestamptz(3) not null,
  item text collate "C" not null,
  primary key (user_id, at, item)
);

-- Nobody is alerted of a gap before the next page that shows something new has left it open.
alter table gaps add column awaits_page boolean not null default false;
-- The page that closed the gap; null where a gap is open, or was closed otherwise.
alter table gaps add column closed_by_source text;
alter table gaps add column closed_by_partition integer;
alter table gaps add column closed_by_offset bigint;
-- A gap may move to bounds that another one had.
alter table gaps drop constraint gaps_user_id_after_before_key;

drop index gaps_untold;
create index gaps_untold on gaps (id)
  where (opening_told_at is null and not awaits_page) or (closed_at is not null and closing_told_at is null);
