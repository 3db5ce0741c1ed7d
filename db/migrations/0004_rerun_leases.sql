-- Up Migration

-- Until then the run is somebody's: nobody resumes it. Its process prolongs it every two seconds; null: stopped.
alter table reruns add column leased_until timestamptz;
