-- Up Migration

-- How often audio features of a track were asked for: what was not found is asked for again after a week, a month and
-- three months, and then no more.
alter table tracks add column features_requests smallint not null default 0;

-- Whoever forgets asks for the users who were erased of late.
create index erased_users_at on erased_users (erased_at);
