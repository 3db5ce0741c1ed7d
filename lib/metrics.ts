import { Counter, Gauge, Histogram } from 'prom-client'

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Every metric of the services, each documented here and nowhere else. */
export const metrics = {
  recordsConsumed: new Counter({
    name: 'songswap_records_consumed_total',
    help: 'Records handed to a consumer group, replays included.',
    labelNames: ['group', 'topic'],
  }),
  consumedOffset: new Gauge({
    name: 'songswap_consumer_committed_offset',
    help: 'Offset that this process last committed, by group, topic and partition.',
    labelNames: ['group', 'topic', 'partition'],
  }),
  batchSeconds: new Histogram({
    name: 'songswap_batch_duration_seconds',
    help: 'From a batch being handed over to its effect being durable.',
    labelNames: ['group'],
    buckets: seconds,
  }),
  consumerRetries: new Counter({
    name: 'songswap_consumer_retries_total',
    help: 'Times that a partition was paused because something it needs was away.',
    labelNames: ['group'],
  }),
  consumerRestarts: new Counter({
    name: 'songswap_consumer_restarts_total',
    help: 'Times that a Kafka consumer was built anew after a crash.',
    labelNames: ['group'],
  }),
  deadLetters: new Counter({
    name: 'songswap_dead_letters_total',
    help: 'Records dead-lettered, by group and reason.',
    labelNames: ['group', 'reason'],
  }),
  floodValveClosed: new Gauge({
    name: 'songswap_flood_valve_closed',
    help: '1 while a consumer group takes nothing, because too many records would become dead letters.',
    labelNames: ['group'],
  }),
  recordsPublished: new Counter({
    name: 'songswap_records_published_total',
    help: 'Records acknowledged by Kafka, by topic.',
    labelNames: ['topic'],
  }),
  polls: new Counter({
    name: 'songswap_polls_total',
    help: 'Polls of recently-played, by outcome.',
    labelNames: ['outcome'],
  }),
  usersDue: new Gauge({
    name: 'songswap_users_due',
    help: 'Users whose poll is due and not leased.',
  }),
  users: new Gauge({
    name: 'songswap_users',
    help: 'Users by status: active, needs_reauth, forbidden, paused. One poller at a time shows all of them.',
    labelNames: ['status'],
  }),
  usersUnpolled: new Gauge({
    name: 'songswap_users_unpolled',
    help: 'Active users without a successful poll for more than so many seconds; within 1200 no play can be lost.',
    labelNames: ['for_seconds'],
  }),
  oldestPollSeconds: new Gauge({
    name: 'songswap_oldest_poll_age_seconds',
    help: 'Time since the last successful poll of the active user who has waited longest.',
  }),
  spotifyRequests: new Counter({
    name: 'songswap_spotify_requests_total',
    help: 'Requests to Spotify by lane (polling, enrichment, accounts) and class of the answer.',
    labelNames: ['lane', 'outcome'],
  }),
  spotifySeconds: new Histogram({
    name: 'songswap_spotify_request_duration_seconds',
    help: 'Duration of requests to Spotify by lane.',
    labelNames: ['lane'],
    buckets: seconds,
  }),
  budgetLeft: new Gauge({
    name: 'songswap_spotify_budget_left',
    help: 'Requests left in the running window of the shared budget.',
  }),
  recordsArchived: new Counter({
    name: 'songswap_records_archived_total',
    help: 'Records in objects that were put, by topic.',
    labelNames: ['topic'],
  }),
  objectsArchived: new Counter({
    name: 'songswap_archive_objects_total',
    help: 'Archive objects put, by topic and result (put, twin).',
    labelNames: ['topic', 'result'],
  }),
  bytesArchived: new Counter({
    name: 'songswap_archive_bytes_total',
    help: 'Bytes of archive objects put, by topic.',
    labelNames: ['topic'],
  }),
  plays: new Counter({
    name: 'songswap_plays_total',
    help: 'Items of pages by terminal state: stored, duplicate, dropped, rejected.',
    labelNames: ['result'],
  }),
  playLatency: new Histogram({
    name: 'songswap_page_to_row_seconds',
    help: "From Spotify's answer to the committed row.",
    buckets: seconds,
  }),
  gaps: new Counter({
    name: 'songswap_gaps_total',
    help: 'Gaps that outlived the next page: plays known to be missing.',
  }),
  entitiesEnriched: new Counter({
    name: 'songswap_entities_enriched_total',
    help: 'Metadata requests by kind and end: found, not_found (both published), known (stored already), dropped (nobody answers them), failed (a dead letter).',
    labelNames: ['kind', 'result'],
  }),
  metadataWaiting: new Gauge({
    name: 'songswap_metadata_waiting',
    help: 'Metadata requests in hand that wait for an answer.',
  }),
  reccobeatsRequests: new Counter({
    name: 'songswap_reccobeats_requests_total',
    help: 'Requests to ReccoBeats by class of the answer.',
    labelNames: ['outcome'],
  }),
  alerts: new Counter({
    name: 'songswap_alerts_total',
    help: 'Discord posts by result: sent, rate_limited, failed, refused (the text of one), suppressed (to the log only).',
    labelNames: ['result'],
  }),
  consumerLag: new Gauge({
    name: 'kafka_consumergroup_lag',
    help: 'Records waiting for a consumer group, by topic and partition; names and labels as in kafka_exporter.',
    labelNames: ['consumergroup', 'topic', 'partition'],
  }),
  consumerOffset: new Gauge({
    name: 'kafka_consumergroup_current_offset',
    help: 'Offset that a consumer group reads next, by topic and partition.',
    labelNames: ['consumergroup', 'topic', 'partition'],
  }),
  consumerMembers: new Gauge({
    name: 'kafka_consumergroup_members',
    help: 'Members of a consumer group.',
    labelNames: ['consumergroup'],
  }),
  partitionEnd: new Gauge({
    name: 'kafka_topic_partition_current_offset',
    help: 'Offset that the next record of a partition will get.',
    labelNames: ['topic', 'partition'],
  }),
  partitionStart: new Gauge({
    name: 'kafka_topic_partition_oldest_offset',
    help: 'First offset that a partition still has.',
    labelNames: ['topic', 'partition'],
  }),
  consumerLagSeconds: new Gauge({
    name: 'kafka_consumergroup_group_lag_seconds',
    help: 'Age of the oldest record that waits for a consumer group, by topic and partition; names and labels as in kafka-lag-exporter.',
    labelNames: ['cluster_name', 'group', 'topic', 'partition'],
  }),
  consumerMaxLagSeconds: new Gauge({
    name: 'kafka_consumergroup_group_max_lag_seconds',
    help: 'Age of the oldest record that waits for a consumer group.',
    labelNames: ['cluster_name', 'group'],
  }),
  pollingStopped: new Gauge({
    name: 'songswap_polling_stopped',
    help: '1 while users are due and allowed, and nobody is polled; in the alerter.',
  }),
  alerterBreakerOpen: new Gauge({
    name: 'songswap_alerter_breaker_open',
    help: '1 while the webhook is dead, or its channel takes nothing: alerts wait in their topics.',
  }),
} as const
