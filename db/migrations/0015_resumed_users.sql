-- Up Migration

-- An operator's resume or a new consent clears the record of failures. A user who was parked in an outage (reason
-- `outage`) keeps the last error and when it began: they show that the outage lasts.
create or replace function follow_user_status() returns trigger language plpgsql as $$
begin
  if new.status = 'paused' then
    update poll_state set next_poll_at = 'infinity', leased_until = null, lease_id = null
    where user_id = new.id;
  elsif new.status = 'active' then
    update poll_state set next_poll_at = now(), failures = 0, error_count = 0, probes = 0,
      last_error = case when new.status_reason = 'outage' then last_error end,
      error_since = case when new.status_reason = 'outage' then error_since end
    where user_id = new.id;
  end if;
  return null;
end $$;
