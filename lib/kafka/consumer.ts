import type kafkajs from 'kafkajs'
import { pause } from '../backoff.ts'
import type { Decoded } from '../codec.ts'
import { messageOf, RetriableError } from '../errors.ts'
import { late, within } from '../time-limit.ts'
import { createClient } from './client.ts'
import type { ConsumerOptions } from './consumer-options.ts'
import { Delivery } from './delivery.ts'
import type { EndingWork } from './ending-work.ts'
import { holdFetch } from './kafkajs-patches.ts'
import { Liveness } from './liveness.ts'
import type { LogGuard } from './log-guard.ts'
import { Membership } from './membership.ts'
import { PartitionWorker } from './partition-worker.ts'
import type { DecodedRecord, RawRecord } from './record.ts'

/** Enough that a member that is slow now and then still sends a heartbeat in time. */
const heartbeatsPerSession = 6
/** A rebalance waits longer for a member that is slow to join again than for one that is silent. */
const sessionsPerRebalance = 2.5
const fetchWaitMs = 500
const fetchMaxBytesPerPartition = 128 * 1024
const queueMaxBytes = 2 << 20
const watchMs = 5_000
/** How long to wait for unfinished work: after a crash, and at a stop. */
const freeWithinMs = 60_000
const stoppedWithinMs = 6_000
const disconnectWithinMs = 2_500

/**
 * The life of one kafkajs consumer, from connecting to its crash or stop. Its events drive three parts: the
 * {@link Membership} knows the partitions of the present generation, the {@link Delivery} moves their records and
 * offsets, and {@link Liveness} notices when neither goes on.
 */
export class Consumer<V> {
  readonly #o: ConsumerOptions<V>
  readonly #consumer: kafkajs.Consumer
  readonly #ending: EndingWork<V>
  readonly #crashed = Promise.withResolvers<string>()
  readonly #crash = (reason: string) => {
    this.#fence()
    this.#liveness.fenced()
    this.#crashed.resolve(reason)
  }
  readonly #liveness: Liveness
  readonly #membership: Membership<V>
  readonly #delivery: Delivery<V>
  #watch: NodeJS.Timeout | null = null
  #isEnded = false

  constructor(options: ConsumerOptions<V>, { guard, ending }: { guard: LogGuard; ending: EndingWork<V> }) {
    this.#o = options
    this.#ending = ending
    const { sessionTimeoutMs } = options.client.config
    const rebalanceTimeoutMs = sessionsPerRebalance * sessionTimeoutMs
    this.#liveness = new Liveness({ sessionTimeoutMs, rebalanceTimeoutMs })
    const consumer = createClient(options.client).consumer({
      groupId: options.group,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: sessionTimeoutMs / heartbeatsPerSession,
      rebalanceTimeout: rebalanceTimeoutMs,
      maxWaitTimeInMs: fetchWaitMs,
      maxBytesPerPartition: fetchMaxBytesPerPartition,
      allowAutoTopicCreation: false,
      retry: { retries: 5, initialRetryTime: 150, maxRetryTime: 3_000, restartOnFailure: async () => false },
    })
    const crash = this.#crash
    const openWorker = (topic: string, partition: number) => this.#openWorker(topic, partition)
    const onRead = () => this.#liveness.reading()
    const membership = new Membership(options, { consumer, guard, ending, openWorker, onRead, crash })
    this.#consumer = consumer
    this.#membership = membership
    this.#delivery = new Delivery(options, { consumer, guard, membership, crash })
  }

  get workers(): PartitionWorker<V>[] {
    return this.#membership.workers
  }

  /** Whether it has its partitions and knows their logs. */
  get isReading(): boolean {
    return this.#liveness.state === 'reading'
  }

  /** Whether any partition waits because it cannot be read. */
  get holdsAny(): boolean {
    return this.#delivery.holdsAny
  }

  get wasHealthy(): boolean {
    return this.#liveness.wasHealthy
  }

  /** Resolves with the reason of the crash, or when the stop begins. */
  async run(stop: AbortSignal): Promise<string> {
    const stopped = () => this.#crashed.resolve('stopped')
    stop.addEventListener('abort', stopped)
    this.#observe()
    this.#start().catch((error) => this.#crash(messageOf(error)))
    this.#watch = setInterval(() => this.#look(), watchMs)
    return this.#crashed.promise.finally(() => stop.removeEventListener('abort', stopped))
  }

  /** Ends the workers and leaves the group. The workers finish their batch at a stop, not after a crash. */
  async end(stop: AbortSignal): Promise<void> {
    const orderly = stop.aborted
    if (this.#watch) clearInterval(this.#watch)
    this.#isEnded = true
    this.#delivery.end()
    const draining = orderly ? this.workers.map((worker) => worker.drain()) : []
    if (!orderly) this.#crash('ended')
    await untilFree(Promise.all([...draining, this.#ending.untilAllFree()]), stop)
    const disconnecting = this.#consumer.disconnect().catch(() => undefined)
    if ((await within(disconnectWithinMs, disconnecting)) === late)
      this.#o.log.warn({ group: this.#o.group }, 'consumer_disconnect_abandoned')
  }

  async #start(): Promise<void> {
    const { topics } = this.#o
    await this.#consumer.connect()
    await this.#consumer.subscribe({ topics: topics.map((t) => t.name), fromBeginning: true })
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      // Waiting for room in one partition's queue must not hold up another's.
      partitionsConsumedConcurrently: topics.reduce((n, t) => n + t.partitions, 0),
      eachBatch: (payload) => this.#delivery.take(payload),
    })
  }

  #observe(): void {
    const { events } = this.#consumer
    // The answer to JoinGroup carries the new generation. As soon as kafkajs has it, the broker would accept a commit
    // of work from the old generation, although the partition may be another member's. So the work is fenced here,
    // before kafkajs reads the answer; GROUP_JOIN comes later.
    this.#consumer.on(events.REQUEST, ({ payload }) => {
      if (payload.apiName !== 'JoinGroup') return
      this.#fence()
      this.#liveness.joining()
    })
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => this.#assign(payload))
    this.#consumer.on(events.HEARTBEAT, () => this.#liveness.heartbeat())
    this.#consumer.on(events.CRASH, ({ payload }) => this.#crash(messageOf(payload.error)))
  }

  #look(): void {
    const fault = this.#liveness.fault()
    if (fault) this.#crash(fault)
    void this.#membership.lookAtTopics()
    if (this.#liveness.isProven) this.#o.outages.worked({ name: this.#o.group, place: null })
  }

  #fence(): void {
    this.#membership.fence()
    this.#delivery.fence()
  }

  #assign({ memberId, memberAssignment }: kafkajs.ConsumerGroupJoinEvent['payload']): void {
    this.#fence()
    // The join was under way when the consumer ended. Throwing here ends it; otherwise the member would fetch forever.
    if (this.#isEnded) throw new RetriableError('The consumer has ended')
    this.#membership.assign(memberAssignment)
    // kafkajs keeps partitions paused over a rebalance, but the new workers' queues are empty.
    this.#consumer.resume(this.#consumer.paused())
    holdFetch(memberId, (commit) => this.#membership.lookAtLogs(memberAssignment, commit))
    this.#liveness.assigned()
    this.#o.log.info({ group: this.#o.group, partitions: this.#membership.size }, 'partitions_assigned')
  }

  #openWorker(topic: string, partition: number): PartitionWorker<V> {
    const { open, fail, publishDeadLetters } = this.#o
    return new PartitionWorker<V>({
      ...this.#o,
      topic,
      partition,
      queueMaxBytes,
      open: (signal) => open(topic, partition, signal),
      publishDeadLetters: (batch) => publishDeadLetters(`${topic}/${partition}`, batch),
      decode: (record) => this.#decode(record),
      commit: (nextOffset, last) => this.#delivery.commit({ topic, partition, nextOffset, last }),
      onRoom: () => this.#delivery.resume(topic, partition),
      onBug: fail,
    })
  }

  async #decode(record: RawRecord): Promise<DecodedRecord<V>> {
    const topic = this.#o.topics.find((t) => t.name === record.topic)
    const decoded: Decoded<V> = topic?.schema
      ? await this.#o.codec.decode<V>(record.bytes)
      : { type: 'value', value: (record.bytes ?? Buffer.alloc(0)) as V, writer: null }
    return { ...record, decoded }
  }
}

/** Waits for work to end: long after a crash, briefly once a stop has begun. */
async function untilFree(work: Promise<unknown>, stop: AbortSignal): Promise<void> {
  const ended = new AbortController()
  const wait = work.then(() => ended.abort())
  await pause(freeWithinMs, AbortSignal.any([stop, ended.signal]))
  if (stop.aborted) await within(stoppedWithinMs, wait)
}
