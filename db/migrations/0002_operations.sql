-- Up Migration

-- Operators' decisions on dead letters; a dead letter without a row is open. It is identified by its place in the topic
-- and the moment of its death, because a topic that is made again repeats its places.
create table dead_letter_decisions (
  partition integer not null,
  "offset" bigint not null,
  died_at timestamptz(3) not null,
  decision text not null check (decision in ('redriven', 'discarded')),
  -- How often the record was put back.
  redrives integer not null default 0,
  decided_at timestamptz not null default now(),
  note text,
  primary key (partition, "offset", died_at)
);

-- The latest warning that a consent ends, so that each warning is published once over all processes and restarts. A
-- new consent makes the row stale.
create table consent_warnings (
  user_id bigint primary key references users on delete cascade,
  authorized_at timestamptz not null,
  -- 30, 7 or 1.
  days integer not null,
  told_at timestamptz not null default now()
);
