import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import kafkajs from 'kafkajs'

const { KafkaJSTopicMetadataNotLoaded } = kafkajs
const require = createRequire(import.meta.url)

/**
 * What kafkajs 2.2.4 does wrong and cannot be configured, mended in place: importing this file does it. Each patch
 * quotes the lines of kafkajs that it mends. Where they have changed the process does not start: a patch that no
 * longer fits would lose records in silence.
 */
stopIdleTimer()
missTopicsAloud()

/**
 * Loads a file of kafkajs that is to be patched.
 *
 * @param file below kafkajs/src
 * @param lines of the file, each as it stands there without its indentation
 */
function mend<T>(file: string, lines: readonly string[]): T {
  const path = require.resolve(`kafkajs/src/${file}`)
  const source = new Set(
    readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trim()),
  )
  const missing = lines.find((line) => !source.has(line))
  if (missing !== undefined) throw new Error(`kafkajs has changed: ${file} has no line: ${missing}`)
  return require(path)
}

interface RequestQueue {
  pending: unknown[]
  throttledUntil: number
  scheduleCheckPendingRequests(this: RequestQueue): void
}

/**
 * kafkajs sets a timer of one millisecond again and again, on every connection (tulios/kafkajs#1751): nine tenths of
 * an idle client's CPU. There is nothing to check while nothing waits and the broker did not throttle.
 */
function stopIdleTimer(): void {
  const { prototype } = mend<{ prototype: RequestQueue }>('network/requestQueue/index.js', [
    'scheduleCheckPendingRequests() {',
    'let scheduleAt = this.throttledUntil - Date.now()',
    'this.throttleCheckTimeoutId = setTimeout(() => {',
  ])
  const schedule = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function guarded() {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this)
  }
}

interface Cluster {
  findTopicPartitionMetadata(this: Cluster, topic: string): unknown[]
}

/**
 * kafkajs lets a caller that added a topic join a refresh which was begun without it, and then takes the topic for
 * one that has no partitions: offsets and assignments silently come out empty. Here that is an error to be retried;
 * the next look finds the topic missing and asks for it.
 */
function missTopicsAloud(): void {
  const { prototype } = mend<{ prototype: Cluster }>('cluster/index.js', [
    'findTopicPartitionMetadata(topic) {',
    'return topicMetadata ? topicMetadata.partitionMetadata : []',
  ])
  const find = prototype.findTopicPartitionMetadata
  prototype.findTopicPartitionMetadata = function missing(topic) {
    const partitions = find.call(this, topic)
    if (partitions.length === 0)
      throw new KafkaJSTopicMetadataNotLoaded('Topic metadata not loaded', { topic })
    return partitions
  }
}

/** Versions of an API that kafkajs speaks, by its own name for it; none where it does not know the API. */
export function spokenVersions(api: string): number[] {
  const { requests } = mend<{ requests: Record<string, { versions: (string | number)[] }> }>(
    'protocol/requests/index.js',
    ["Fetch: require('./fetch'),"],
  )
  return (requests[api]?.versions ?? []).map(Number)
}
