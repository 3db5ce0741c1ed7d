-- Records that operators bury because they hold up their partition: when the consumer group tries the record again, it
-- reads this row and makes the record a dead letter. The record's time shows that it is the same record.
create table burials (
  consumer_group text not null,
  topic text not null,
  partition integer not null,
  "offset" bigint not null,
  record_timestamp timestamptz not null,
  note text,
  ordered_at timestamptz not null default now(),
  primary key (consumer_group, topic, partition, "offset", record_timestamp)
);
