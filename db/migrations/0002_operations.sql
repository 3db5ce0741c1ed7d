-- Up Migration

-- What operators have decided on dead letters; those without a row are open. A dead letter is known by its place
-- in the topic and the moment of its death: in a topic that was made anew the places come again.
create table dead_letter_decisions (
  partition integer not null,
  "offset" bigint not null,
  died_at timestamptz(3) not null,
  decision text not null check (decision in ('redriven', 'discarded')),
  -- How often it was put back.
  redrives integer not null default 0,
  decided_at timestamptz not null default now(),
  note text,
  primary key (partition, "offset", died_at)
);

-- The last warning before a consent ends, so that each is told once, whoever tells it and however often that one
-- is started again. A new consent makes the row stale.
create table consent_warnings (
  user_id bigint primary key references users on delete cascade,
  authorized_at timestamptz not null,
  -- 30, 7 or 1.
  days integer not null,
  told_at timestamptz not null default now()
);
