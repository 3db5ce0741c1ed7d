-- Records that operators have given up because they hold up their partition: the consumer group reads the mark when
-- it tries the record again, and makes it a dead letter. The time of the record says that it is the same one.
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
