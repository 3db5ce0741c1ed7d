-- Up Migration

-- Kafka's id of the topic that the digests of poll_state were published to: a topic that is made again under the same
-- name holds none of these pages.
create table published_topics (
  topic text primary key,
  topic_id text not null,
  seen_at timestamptz not null default now()
);

-- The log of its partition that a page was read from; the first is 0. A topic that is made again, or that loses its
-- tail with its broker, gives offsets a second time. With a constant default Postgres rewrites no row.
alter table plays add column page_incarnation integer not null default 0;
alter table rejected_items add column page_incarnation integer not null default 0;

-- The logs of a partition from which pages were loaded. The numbers are the archive's, as far as they are known.
create table log_incarnations (
  topic text not null,
  partition integer not null,
  incarnation integer not null,
  -- Null if the brokers report none, or if a restore wrote the row.
  topic_id text,
  first_seen_at timestamptz not null default now(),
  primary key (topic, partition, incarnation)
);
