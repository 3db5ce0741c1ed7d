-- Up Migration

-- When the pause began; one that follows another within minutes, with no success between, goes on with it. null: not
-- known, or never paused.
alter table api_pauses add column paused_from timestamptz;
