import { createRequire } from 'node:module'
import kafkajs from 'kafkajs'
import type { KafkaConfig } from '../config.ts'
import type { Logger } from '../log.ts'
import { scrub } from '../log.ts'
import { compress, decompress } from '../zstd.ts'

const { CompressionCodecs, CompressionTypes, Kafka, KafkaJSTopicMetadataNotLoaded, logLevel } = kafkajs

CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: ({ buffer }: { buffer: Buffer }) => compress(buffer),
  decompress,
})

interface RequestQueue {
  pending: unknown[]
  throttledUntil: number
  scheduleCheckPendingRequests(this: RequestQueue): void
}

/**
 * kafkajs re-arms a timer of one millisecond for ever, on every connection (tulios/kafkajs#1751): nine tenths of
 * an idle client's CPU. There is nothing to check while nothing waits and the broker did not throttle.
 */
function stopIdleTimer(): void {
  const queue: { prototype: RequestQueue } = createRequire(import.meta.url)(
    'kafkajs/src/network/requestQueue/index.js',
  )
  const schedule = queue.prototype.scheduleCheckPendingRequests
  if (typeof schedule !== 'function')
    throw new Error('kafkajs has changed: the patch of its request queue does not fit')
  queue.prototype.scheduleCheckPendingRequests = function guarded() {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
  }
}
stopIdleTimer()

interface Cluster {
  findTopicPartitionMetadata(this: Cluster, topic: string): unknown[]
}

/**
 * kafkajs lets a caller that added a topic join a refresh which was begun without it, and then takes the topic for
 * one that has no partitions: offsets and assignments silently come out empty. Here that is an error to be retried;
 * the next look finds the topic missing and asks for it.
 */
function missTopicsAloud(): void {
  const cluster: { prototype: Cluster } = createRequire(import.meta.url)('kafkajs/src/cluster/index.js')
  const find = cluster.prototype.findTopicPartitionMetadata
  if (typeof find !== 'function')
    throw new Error('kafkajs has changed: the patch of its metadata does not fit')
  cluster.prototype.findTopicPartitionMetadata = function missing(topic) {
    const partitions = find.call(this, topic)
    if (partitions.length === 0)
      throw new KafkaJSTopicMetadataNotLoaded('Topic metadata not loaded', { topic })
    return partitions
  }
}
missTopicsAloud()

export interface ClientOptions {
  config: KafkaConfig
  log: Logger
  /** Client id shown to the brokers. */
  name: string
  /** Called with the text of each warning or error of kafkajs. */
  onWarning?: (text: string) => void
}

/** A kafkajs client; connects when a producer, consumer or admin does. */
export function createClient(options: ClientOptions): kafkajs.Kafka {
  const { config } = options
  return new Kafka({
    clientId: options.name,
    brokers: config.brokers,
    ssl: config.ssl,
    ...(config.sasl && {
      sasl: {
        mechanism: config.sasl.mechanism as 'plain',
        username: config.sasl.username,
        password: config.sasl.password.reveal(),
      },
    }),
    connectionTimeout: 3_000,
    requestTimeout: 15_000,
    // NODE_ENV=test would otherwise pick kafkajs's own, much shorter ones.
    retry: { retries: 5, initialRetryTime: 150, maxRetryTime: 3_000, factor: 0.2, multiplier: 2 },
    logLevel: logLevel.INFO,
    logCreator: () => (entry) => forward(entry, options),
  })
}

/** kafkajs logs outages that it retries as errors; what matters is said by the callers, so these are debug lines. */
function forward(
  { level, namespace, log: { message, error } }: kafkajs.LogEntry,
  { log, onWarning }: ClientOptions,
): void {
  const text = scrub(error ? `${message}: ${error}` : message)
  log.debug({ namespace, text }, 'kafkajs')
  if (level <= logLevel.WARN) onWarning?.(text)
}
