-- Up Migration

-- How often audio features of a track were requested: if not found, they are requested again after a week, a month and
-- three months, and then not any more.
alter table tracks add column features_requests smallint not null default 0;

-- For queries of recently erased users.
create index erased_users_at on erased_users (erased_at);
