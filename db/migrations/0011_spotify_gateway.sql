-- Up Migration

-- Spotify's immutable id; spotify_id stays as it was when the user first connected.
alter table users add column account_id text unique;
-- Null if unknown, as for a token that was obtained elsewhere.
alter table users alter column authorized_at drop not null;

-- The app that the tokens were given to; null if they were stored before this column existed.
alter table spotify_tokens add column client_id text;

alter table poll_state
  -- Since when, and how often, consecutive failures had this error.
  add column error_since timestamptz,
  add column error_count integer not null default 0,
  -- Failed probes of a parked user.
  add column probes integer not null default 0;
create index poll_state_failing on poll_state (last_failed_at) where failures > 0;

create or replace function follow_user_status() returns trigger language plpgsql as $$
begin
  if new.status = 'paused' then
    update poll_state set next_poll_at = 'infinity', leased_until = null, lease_id = null
    where user_id = new.id;
  elsif new.status = 'active' then
    update poll_state set next_poll_at = now(), failures = 0, error_count = 0, probes = 0
    where user_id = new.id;
  end if;
  return null;
end $$;

-- Only one poller at a time counts all users; the others read its result.
create table poller_upkeep (
  only_row boolean primary key default true check (only_row),
  holder uuid not null,
  held_until timestamptz not null,
  -- Null if not counted yet.
  active_users bigint
);
