-- Up Migration

-- The topic that the digests of poll_state were published to, by Kafka's id: in one that is made again under the
-- same name nothing is.
create table published_topics (
  topic text primary key,
  topic_id text not null,
  seen_at timestamptz not null default now()
);

-- Which log of its partition a page was read from. The first one is 0; a topic that is made again, or that loses its
-- tail with its broker, gives offsets a second time. A constant default: no row is written again.
alter table plays add column page_incarnation integer not null default 0;
alter table rejected_items add column page_incarnation integer not null default 0;

-- The logs of a partition of which pages were loaded. Numbers are those of the archive, as far as they are known.
create table log_incarnations (
  topic text not null,
  partition integer not null,
  incarnation integer not null,
  -- null: the brokers say none.
  topic_id text,
  first_seen_at timestamptz not null default now(),
  primary key (topic, partition, incarnation)
);
