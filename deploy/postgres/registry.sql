-- Runs once, on an empty data folder. Schema ids are inside the records of Kafka, so they are kept as long.
create database registry;
