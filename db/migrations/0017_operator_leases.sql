-- Up Migration

-- What one operator does at a time, by name: two that write the same object of the archive again would undo one
-- another, and two that redrive the same dead letter would do it twice. Held by time and not by a connection: whose
-- connection breaks goes on, and one that is dead holds it for seconds.
drop table eraser_lease;
create table operator_leases (
  name text primary key,
  holder uuid not null,
  held_until timestamptz not null
);
