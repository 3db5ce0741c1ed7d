-- Up Migration

-- Runs of `songswap replay` and `songswap restore`, and how far each has come, so that any machine can resume it.
create table reruns (
  id bigint generated always as identity primary key,
  -- 'replay', 'restore' or 'restore --to-topic'.
  command text not null,
  -- The group of a replay; 'archive' or 'file' for a restore.
  subject text not null,
  -- The choice, and the position in each partition; see operations/rerun/journal.ts.
  plan jsonb not null,
  tally jsonb not null,
  started_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- Null while it runs, or if it was interrupted.
  finished_at timestamptz
);
create index reruns_open on reruns (command, subject, id) where finished_at is null;

-- Erased users. Their pages stay in the topic until it forgets them; loaders drop them. No other user gets the id, so
-- a row stays valid.
create table erased_users (
  user_id bigint primary key,
  erased_at timestamptz not null default now()
);

-- A gap that a replay or a restore found: it is listed, but no event is published for it.
alter table gaps add column quiet boolean not null default false;
