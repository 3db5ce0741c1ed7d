-- Up Migration

-- Work that only one operator may do at a time, by name: two rewrites of the same archive object would undo one
-- another, and two redrives of the same dead letter would put it back twice. A lease is bound to time and not to a
-- connection: a process whose connection breaks goes on, and a dead one keeps it only for seconds.
drop table eraser_lease;
create table operator_leases (
  name text primary key,
  holder uuid not null,
  held_until timestamptz not null
);
