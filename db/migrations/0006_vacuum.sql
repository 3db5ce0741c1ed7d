-- Up Migration

-- Every poll updates the user's row twice, and with it the index on next_poll_at: thousands of rows die each minute
-- while the table stays small. Vacuum it after one per cent.
alter table poll_state set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.05);

-- Plays are almost only added. By default vacuum waits for a fifth of a table that may hold years: too late to keep the
-- visibility map fresh, and with all rows to freeze at once.
alter table plays set (autovacuum_vacuum_insert_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01);
