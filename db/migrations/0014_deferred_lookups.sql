-- Up Migration

-- Lookups that failed repeatedly. They are kept here, so that their requests do not hold up their partitions. A process
-- takes a due lookup for a limited time, so a dead process releases it.
create table deferred_lookups (
  kind text not null,
  id text collate "C" not null,
  requested_at timestamptz(3) not null,
  attempts integer not null,
  next_ask_at timestamptz not null,
  primary key (kind, id)
);
create index deferred_lookups_due on deferred_lookups (next_ask_at);
