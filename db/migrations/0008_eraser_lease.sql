-- Up Migration

-- One eraser at a time: two that write the same object of the archive again would undo one another. Held by time and
-- not by a connection: an eraser whose connection breaks goes on, and one that is dead holds it for seconds.
create table eraser_lease (
  only_row boolean primary key default true check (only_row),
  holder uuid not null,
  held_until timestamptz not null
);
