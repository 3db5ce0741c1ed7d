-- Up Migration

-- Until then no other process resumes the run. Its process renews the lease every two seconds; null if it has stopped.
alter table reruns add column leased_until timestamptz;
