-- Up Migration

-- When the pause began. A pause that follows another within minutes, without a success in between, continues it. Null
-- if unknown or never paused.
alter table api_pauses add column paused_from timestamptz;
