-- Up Migration

-- Runs of `songswap replay` and `songswap restore`: how far each has come, so that it can be resumed from anywhere.
create table reruns (
  id bigint generated always as identity primary key,
  -- 'replay', 'restore' or 'restore --to-topic'.
  command text not null,
  -- The group or the topic.
  subject text not null,
  -- What was chosen and where each partition stands; see operations/rerun/journal.ts.
  plan jsonb not null,
  tally jsonb not null,
  started_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- null: running, or interrupted.
  finished_at timestamptz
);
create index reruns_open on reruns (command, subject, id) where finished_at is null;

-- Users who were erased. Their pages stay in the topic until it forgets them: whoever loads one drops it.
-- Ids are never given again, so a row stays right for ever.
create table erased_users (
  user_id bigint primary key,
  erased_at timestamptz not null default now()
);

-- A gap that a replay or a restore found: known, but nobody is told of what is long past.
alter table gaps add column quiet boolean not null default false;
