-- Up Migration

-- Metadata that failed again and again: remembered here, so that their requests free their partitions. A lookup that
-- is due is taken for a while; whoever took it and died frees it by that.
create table deferred_lookups (
  kind text not null,
  id text collate "C" not null,
  requested_at timestamptz(3) not null,
  attempts integer not null,
  next_ask_at timestamptz not null,
  primary key (kind, id)
);
create index deferred_lookups_due on deferred_lookups (next_ask_at);
