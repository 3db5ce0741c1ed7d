-- Up Migration

-- Only one eraser at a time: two rewrites of the same archive object would undo one another. The lease is bound to time
-- and not to a connection: an eraser whose connection breaks goes on, and a dead one keeps it only for seconds.
create table eraser_lease (
  only_row boolean primary key default true check (only_row),
  holder uuid not null,
  held_until timestamptz not null
);
