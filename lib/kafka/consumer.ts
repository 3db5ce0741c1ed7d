import type kafkajs from 'kafkajs'
import { backoffMs, pause } from '../backoff.ts'
import type { Codec, Decoded } from '../codec.ts'
import type { Server } from '../errors.ts'
import { calling, from, messageOf, RetriableError } from '../errors.ts'
import type { Health, HealthReport } from '../health.ts'
import type { Logger } from '../log.ts'
import { metrics } from '../metrics.ts'
import type { Outages, Waiter } from '../outages.ts'
import type { Resource } from '../scope.ts'
import { late, within } from '../time-limit.ts'
import type { Topic } from '../topology.ts'
import type { Burials } from './burial.ts'
import type { ClientOptions } from './client.ts'
import { createClient } from './client.ts'
import { Holds } from './holds.ts'
import type { FetchedMessage } from './kafkajs-cluster.ts'
import type { GroupCommit } from './kafkajs-patches.ts'
import { faultOf, guardGroup, holdFetch } from './kafkajs-patches.ts'
import { toRawRecord } from './kafkajs-record.ts'
import type { AssignedLog, Assignment, LogChange } from './log-guard.ts'
import { LogGuard } from './log-guard.ts'
import type { LogMark } from './log-mark.ts'
import { toCommitText, toMark } from './log-mark.ts'
import { epochOf } from './log-reader.ts'
import type { InTurn, SettledBatch, WorkerOptions } from './partition-worker.ts'
import { PartitionWorker } from './partition-worker.ts'
import type { DecodedRecord, RawRecord } from './record.ts'
import type { PartitionSink } from './sink.ts'

export interface ConsumerOptions<V> {
  client: ClientOptions
  codec: Codec
  group: string
  topics: Topic<V>[]
  open: (topic: string, partition: number, signal: AbortSignal) => PartitionSink<V>
  /** A log is not the one that the group had read: it is read from its earliest record now. */
  onLogChange: (change: LogChange) => void
  /** @param place `topic/partition` */
  publishDeadLetters: (place: string, batch: SettledBatch) => Promise<void>
  /** Called with the places that this member has, whenever they are dealt out. */
  onAssigned: (places: string[]) => void
  onHeldUp: WorkerOptions<V>['onHeldUp']
  outages: Outages
  /** Kafka itself. */
  server: Server
  heldUpAfterMs: number
  burials?: Burials
  batchMaxRecords: number
  batchMaxBytes: number
  stuckAfterMs: number
  inTurn: InTurn
  freesRecords: boolean
  health: Health
  fail: (error: unknown) => void
  log: Logger
}

/** A member that is slow now and then still sends its heartbeats in time. */
const heartbeatsPerSession = 6
const fetchWaitMs = 500
const fetchMaxBytesPerPartition = 128 * 1024
const queueMaxBytes = 2 << 20
/** How long a full queue may hold up the fetch of its neighbours before its partition is paused instead. */
const roomWithinMs = 200
/** After this many session timeouts without an answer to a heartbeat, the coordinator has evicted the member. */
const heartlessSessions = 2
/** Connecting and joining take at most the rebalance timeout and a few tries. */
const joinWithinMs = 90_000
/** From an answer to JoinGroup to the partitions: the group waits for its members, and the leader deals out. */
const assignWithinMs = 40_000
const watchMs = 5_000
/** A member to which nothing comes works when it has not crashed for so long. */
const provenAfterMs = 10_000
const commitWithinMs = 10_000
/** How long the work in hand is waited for: after a crash, and at a stop. */
const freeWithinMs = 60_000
const stoppedWithinMs = 6_000
/** A consumer that has been a member for so long was healthy: its crash is a first one, and backoff begins again. */
const healthyAfterMs = 60_000

/**
 * A member of a consumer group that lives until it is closed. kafkajs's own restart is off (it can revive a
 * consumer that was disconnected, and gives up on errors that it takes for permanent): each crash ends one
 * kafkajs consumer, and the loop builds another with backoff.
 *
 * Fetching and handling are apart: kafkajs's loop only moves records into the partitions' queues, so heartbeats
 * go on however long a handler takes, and a slow partition does not hold up the others. Liveness is therefore
 * not the heartbeat but progress: a batch in work for too long makes `/healthz` fail.
 */
export function openConsumer<V>(options: ConsumerOptions<V>): Resource {
  const { group, log } = options
  const stop = new AbortController()
  const guard = new LogGuard(group, options.client)
  guardGroup(group)
  const earlier: Earlier<V> = { workers: new Set(), ends: new Map() }
  let term: Term<V> | null = null

  async function live(): Promise<void> {
    for (let failures = 0; !stop.signal.aborted; ) {
      term = new Term(options, { guard, earlier })
      const crash = await term.run(stop.signal)
      await term.end(stop.signal)
      if (stop.signal.aborted) return
      failures = term.wasHealthy ? 1 : failures + 1
      metrics.consumerRestarts.inc({ group })
      options.outages.failed({ name: group, place: null }, from(options.server, new RetriableError(crash)))
      const delayMs = backoffMs(failures)
      log.warn({ group, delayMs, reason: crash }, 'consumer_restarted')
      await pause(delayMs, stop.signal)
    }
  }
  const lived = live().catch(options.fail)

  function report(): HealthReport {
    const now = performance.now()
    const workers = [...earlier.workers, ...(term?.workers ?? [])]
    const busyForMs = Math.max(0, ...workers.map((worker) => worker.busyForMs(now)))
    if (busyForMs > options.stuckAfterMs) {
      return {
        alive: false,
        ready: false,
        detail: `a batch has been in work for ${Math.round(busyForMs / 1000)} s`,
      }
    }
    if (!term?.joined || !term.knowsLogs) return { alive: true, ready: false, detail: 'joining the group' }
    if (earlier.workers.size > 0)
      return { alive: true, ready: false, detail: 'waiting for the work of an earlier assignment to end' }
    if (term.holdsAny || workers.some((worker) => worker.waiting))
      return { alive: true, ready: false, detail: 'waiting for something it needs' }
    return { alive: true, ready: true, detail: `owns ${term.partitions} partitions` }
  }
  options.health.register(`consumer ${group}`, report)

  return {
    async close() {
      stop.abort()
      await lived
      await guard.close()
    },
  }
}

type Joined = kafkajs.ConsumerGroupJoinEvent['payload']
/** Work of earlier assignments that has not ended yet, also of consumers that crashed. */
interface Earlier<V> {
  workers: Set<PartitionWorker<V>>
  /** When a partition is free, by its name. */
  ends: Map<string, Promise<void>>
}

/** The life of one kafkajs consumer, from connecting to its crash or stop. */
class Term<V> {
  readonly #o: ConsumerOptions<V>
  readonly #consumer: kafkajs.Consumer
  readonly #guard: LogGuard
  readonly #workers = new Map<string, PartitionWorker<V>>()
  /** Logs of the workers' partitions; none until they are known to be those that the group has read. */
  readonly #logs = new Map<string, AssignedLog>()
  readonly #earlier: Earlier<V>
  readonly #roomWaiters = new Map<string, () => void>()
  #crashed: (reason: string) => void = () => undefined
  #lastHeartbeatAt = performance.now()
  /** When it began to join anew; null: it has its partitions. */
  #joiningSince: number | null = null
  #watch: NodeJS.Timeout | null = null
  #ended = false
  #checksTopics = false
  #commitOnce: kafkajs.EachBatchPayload['commitOffsetsIfNecessary'] | null = null
  readonly #holds = new Holds()
  /** By the steady clock; null: not yet. */
  #firstJoinedAt: number | null = null
  #knowsLogsSince = 0
  /** It has its partitions. */
  joined = false

  constructor(options: ConsumerOptions<V>, { guard, earlier }: { guard: LogGuard; earlier: Earlier<V> }) {
    this.#o = options
    this.#guard = guard
    this.#earlier = earlier
    const { sessionTimeoutMs } = options.client.config
    this.#consumer = createClient(options.client).consumer({
      groupId: options.group,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: sessionTimeoutMs / heartbeatsPerSession,
      rebalanceTimeout: 30_000,
      maxWaitTimeInMs: fetchWaitMs,
      maxBytesPerPartition: fetchMaxBytesPerPartition,
      allowAutoTopicCreation: false,
      retry: { retries: 5, initialRetryTime: 150, maxRetryTime: 3_000, restartOnFailure: async () => false },
    })
  }

  get partitions(): number {
    return this.#workers.size
  }

  /** Nothing is fetched before. */
  get knowsLogs(): boolean {
    return this.#logs.size === this.#workers.size
  }

  /** Whether partitions wait that cannot be read. */
  get holdsAny(): boolean {
    return this.#holds.size > 0
  }

  get wasHealthy(): boolean {
    return this.#firstJoinedAt !== null && performance.now() - this.#firstJoinedAt >= healthyAfterMs
  }

  /** It could fetch for a while. That it has joined proves nothing: it may crash each time at what comes next. */
  get #isProven(): boolean {
    return this.joined && this.knowsLogs && performance.now() - this.#knowsLogsSince >= provenAfterMs
  }

  #worked(): void {
    this.#o.outages.worked({ name: this.#o.group, place: null })
  }

  get workers(): Iterable<PartitionWorker<V>> {
    return this.#workers.values()
  }

  /** Resolves with the reason of the crash, or when the stop begins. */
  async run(stop: AbortSignal): Promise<string> {
    const { promise: ended, resolve } = Promise.withResolvers<string>()
    this.#crashed = resolve
    const stopped = () => resolve('stopped')
    stop.addEventListener('abort', stopped)
    this.#observe()
    const start = async () => {
      await this.#consumer.connect()
      await this.#consumer.subscribe({ topics: this.#o.topics.map((t) => t.name), fromBeginning: true })
      await this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        // Waiting for room in one partition's queue must not hold up another's.
        partitionsConsumedConcurrently: this.#o.topics.reduce((n, t) => n + t.partitions, 0),
        eachBatch: (payload) => this.#take(payload),
      })
    }
    start().catch((error) => this.#crashed(messageOf(error)))
    this.#watch = setInterval(() => {
      this.#checkPulse()
      void this.#checkTopics()
      if (this.#isProven) this.#worked()
    }, watchMs)
    return ended.finally(() => stop.removeEventListener('abort', stopped))
  }

  /** Ends the workers, finishing what they have in hand when a stop has begun, and leaves the group. */
  async end(stop: AbortSignal): Promise<void> {
    const orderly = stop.aborted
    if (this.#watch) clearInterval(this.#watch)
    this.#ended = true
    this.#holds.releaseAll()
    const ending = orderly ? [...this.#workers.values()].map((w) => w.drain()) : []
    if (!orderly) this.#fence()
    await untilFree(Promise.all([...ending, ...this.#earlier.ends.values()]), stop)
    const left = await within(
      2_500,
      this.#consumer.disconnect().catch(() => undefined),
    )
    if (left === late) this.#o.log.warn({ group: this.#o.group }, 'consumer_disconnect_abandoned')
  }

  #observe(): void {
    const { events } = this.#consumer
    // The answer to JoinGroup carries the new generation: from that moment a commit of work from the old one
    // would be accepted although the partition may be another member's. So it is fenced right here, before
    // kafkajs sees the answer, and not only at GROUP_JOIN, which comes later.
    this.#consumer.on(events.REQUEST, ({ payload }) => {
      if (payload.apiName !== 'JoinGroup') return
      this.#joiningSince ??= performance.now()
      this.#fence()
    })
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => this.#assign(payload))
    this.#consumer.on(events.HEARTBEAT, () => {
      this.#lastHeartbeatAt = performance.now()
    })
    this.#consumer.on(events.CRASH, ({ payload }) => {
      this.#fence()
      this.#crashed(messageOf(payload.error))
    })
  }

  /**
   * kafkajs can stop without a crash: when a coordinator moves while a broker is away, its fetchers wait for one
   * another for ever. It then sends no heartbeats, and this ends its life.
   *
   * And it can go on without having joined: when joining fails often enough while a coordinator loads, it fetches
   * and sends heartbeats as the member that it was, which the coordinator remembers. Its workers are fenced, and no
   * assignment brings others.
   */
  #checkPulse(): void {
    const wasMember = this.#firstJoinedAt !== null
    if (wasMember && this.#joiningSince && performance.now() - this.#joiningSince > assignWithinMs) {
      this.#fence()
      this.#crashed(`no partitions within ${assignWithinMs / 1000} s of joining`)
      return
    }
    const silentMs = performance.now() - this.#lastHeartbeatAt
    const heartlessAfterMs = heartlessSessions * this.#o.client.config.sessionTimeoutMs
    if (silentMs < (wasMember ? heartlessAfterMs : joinWithinMs)) return
    this.#fence()
    this.#crashed(`no heartbeat for ${Math.round(silentMs / 1000)} s`)
  }

  #fence(): void {
    const { workers, ends } = this.#earlier
    for (const [name, worker] of this.#workers) {
      workers.add(worker)
      const ended = Promise.all([ends.get(name), worker.revoke()]).then(() => {
        workers.delete(worker)
        if (ends.get(name) === ended) ends.delete(name)
      })
      ends.set(name, ended)
    }
    this.#workers.clear()
    this.#logs.clear()
    this.#holds.releaseAll()
    this.joined = false
  }

  #assign({ memberId, memberAssignment: assignment }: Joined): void {
    this.#fence()
    // A join that was under way when the end came. Thrown in here it ends the join: a member would fetch on and on.
    if (this.#ended) throw new RetriableError('The consumer has ended')
    for (const [topic, partitions] of Object.entries(assignment)) {
      for (const partition of partitions) this.#startWorker(topic, partition)
    }
    this.#o.onAssigned([...this.#workers.keys()])
    // kafkajs keeps pauses over a rebalance; the new workers' queues are empty.
    this.#consumer.resume(this.#consumer.paused())
    const workers = [...this.#workers.values()]
    holdFetch(memberId, (commit) => this.#checkLogs(assignment, workers, commit))
    this.joined = true
    this.#firstJoinedAt ??= performance.now()
    this.#joiningSince = null
    this.#lastHeartbeatAt = performance.now()
    this.#o.log.info({ group: this.#o.group, partitions: this.#workers.size }, 'partitions_assigned')
  }

  /**
   * Looks whether the logs are those that the group has read, before anything is fetched. A position of another log
   * goes back to the earliest record: everything in between would be passed over. Never rejects.
   */
  async #checkLogs(
    assignment: Assignment,
    workers: PartitionWorker<V>[],
    commit: GroupCommit,
  ): Promise<void> {
    const isPresent = () => workers.every((worker) => [...this.#workers.values()].includes(worker))
    try {
      const { logs, changes } = await this.#guard.check(assignment)
      if (!isPresent()) return
      const rewound = logs.filter((log) => log.rewindTo !== null)
      if (rewound.length > 0) await this.#rewind(rewound, commit)
      for (const change of changes) this.#o.onLogChange(change)
      if (!isPresent()) return
      for (const log of logs) this.#logs.set(`${log.topic}/${log.partition}`, log)
      this.#knowsLogsSince = performance.now()
    } catch (error) {
      if (!isPresent()) return
      this.#fence()
      this.#crashed(messageOf(error))
    }
  }

  /** Committed as well, so that it is done once: a commit that Kafka does not take ends the term. */
  async #rewind(logs: readonly AssignedLog[], commit: GroupCommit): Promise<void> {
    const topics = [...Map.groupBy(logs, ({ topic }) => topic)].map(([topic, list]) => ({
      topic,
      partitions: list.map(({ partition, topicId, rewindTo }) => ({
        ...{ partition, offset: String(rewindTo) },
        metadata: toCommitText({ topicId, last: null }),
      })),
    }))
    await commit({ topics })
    for (const { topic, partition, rewindTo } of logs) {
      this.#consumer.seek({ topic, partition, offset: String(rewindTo) })
    }
  }

  /** A new log that has grown past the position answers every fetch: only the id of its topic says what it is. */
  async #checkTopics(): Promise<void> {
    const [first, ...others] = this.#logs.values()
    if (this.#checksTopics || !first) return
    this.#checksTopics = true
    const isReplaced = await this.#guard.isReplaced([first, ...others]).catch(() => false)
    this.#checksTopics = false
    if (!isReplaced || this.#logs.get(`${first.topic}/${first.partition}`) !== first) return
    this.#fence()
    this.#crashed('a topic was made again')
  }

  /**
   * Whether records go on where the last ones ended. A broker that lost its tail writes under a higher epoch, at
   * offsets that were read before: then the record before must still be there.
   */
  async #follows(log: AssignedLog, messages: readonly FetchedMessage[]): Promise<boolean> {
    const [first] = messages
    const final = messages.at(-1)
    if (!first || !final) return true
    const { topic, partition, last } = log
    if (last && epochOf(first) > last.epoch && !(await this.#guard.stillHas(topic, partition, last)))
      return false
    const mark = toMark(toRawRecord(topic, partition, final))
    log.last = { offset: Number(final.offset), mark, epoch: epochOf(final) }
    return true
  }

  #startWorker(topic: string, partition: number): void {
    const { open, fail, publishDeadLetters } = this.#o
    const name = `${topic}/${partition}`
    const worker = new PartitionWorker<V>({
      ...this.#o,
      topic,
      partition,
      queueMaxBytes,
      open: (signal) => open(topic, partition, signal),
      publishDeadLetters: (batch) => publishDeadLetters(name, batch),
      decode: (record) => this.#decode(record),
      commit: (nextOffset, last) =>
        calling(this.#o.server, () => this.#commit({ topic, partition, nextOffset, last })),
      onRoom: () => this.#resume(topic, partition),
      onBug: fail,
    })
    this.#workers.set(name, worker)
    worker.start(this.#earlier.ends.get(name) ?? Promise.resolve())
  }

  /**
   * One request and no retry: kafkajs's own `commitOffsets` would repeat it after a rebalance under the new
   * generation. Here the generation is read when the request is made, so the broker refuses what is stale.
   *
   * A request can hang for ever when a coordinator moves; sent late it would take the offset back. So after the
   * limit this consumer's life ends, and what it still sends is refused.
   */
  async #commit(of: { topic: string; partition: number; nextOffset: number; last: LogMark | null }) {
    const { topic, partition, nextOffset, last } = of
    const identity = { topicId: this.#logs.get(`${topic}/${partition}`)?.topicId ?? null, last }
    const position = { partition, offset: String(nextOffset), metadata: toCommitText(identity) }
    const request = this.#commitOnce?.({ topics: [{ topic, partitions: [position] }] })
    if ((await within(commitWithinMs, Promise.resolve(request))) !== late) {
      this.#guard.committed(topic, partition, nextOffset, identity)
      return
    }
    this.#fence()
    this.#crashed('a commit hangs')
    throw new RetriableError(`No answer to a commit within ${commitWithinMs / 1000} s`)
  }

  async #take(payload: kafkajs.EachBatchPayload): Promise<void> {
    const { batch, resolveOffset, commitOffsetsIfNecessary, heartbeat } = payload
    const { topic, partition } = batch
    const name = `${topic}/${partition}`
    this.#commitOnce = commitOffsetsIfNecessary
    const worker = this.#workers.get(name)
    const log = this.#logs.get(name)
    if (!worker || !log || payload.isStale()) return
    const fault = faultOf(batch)
    if (fault) return this.#hold(topic, partition, fault)
    if (!(await this.#follows(log, batch.messages))) {
      this.#fence()
      this.#crashed(`${name} has lost its tail`)
      return
    }
    if (this.#workers.get(name) !== worker || payload.isStale()) return
    this.#holds.release(name)
    this.#o.outages.worked(this.#reader(name))
    const from = log.topicId === null ? {} : { topicId: log.topicId }
    const records = batch.messages.map((m) => ({ ...toRawRecord(topic, partition, m), ...from }))
    worker.enqueue(records, Number(batch.highWatermark))
    resolveOffset(batch.lastOffset())
    this.#worked()
    const isFull = () => !this.#ended && worker.full && this.#workers.get(name) === worker
    try {
      while (isFull()) {
        const room = new Promise<void>((resolve) => this.#roomWaiters.set(name, resolve))
        await within(roomWithinMs, room)
        this.#roomWaiters.delete(name)
        if (this.#isAnyHungry()) break
        await heartbeat()
      }
    } finally {
      // Also when a heartbeat fails: kafkajs fetches again before it joins again or gives up.
      if (isFull()) this.#consumer.pause([{ topic, partitions: [partition] }])
    }
  }

  /** What cannot be read is not gone past: it may be read by a later release, or after the disk was mended. */
  #hold(topic: string, partition: number, { offset, reason }: { offset: number; reason: string }): void {
    const { group, outages, log } = this.#o
    const name = `${topic}/${partition}`
    this.#consumer.pause([{ topic, partitions: [partition] }])
    const next = this.#holds.hold(name, () => this.#resume(topic, partition))
    metrics.consumerRetries.inc({ group })
    outages.failed(this.#reader(name), new RetriableError(`${name}/${offset}: ${reason}`))
    log.error({ group, topic, partition, offset, reason, ...next }, 'partition_unreadable')
  }

  #reader(place: string): Waiter {
    return { name: this.#o.group, place, isReading: true }
  }

  /**
   * Whether a full queue holds up somebody. Were all of them paused instead, kafkajs would sleep for as long as a
   * fetch may wait, whatever has room meanwhile.
   */
  #isAnyHungry(): boolean {
    return [...this.#workers.values()].some((worker) => !worker.full)
  }

  #resume(topic: string, partition: number): void {
    const name = `${topic}/${partition}`
    this.#roomWaiters.get(name)?.()
    if (this.#holds.isPaused(name)) return
    try {
      this.#consumer.resume([{ topic, partitions: [partition] }])
    } catch {
      // The consumer has just been stopped: there is nothing to resume.
    }
  }

  async #decode(record: RawRecord): Promise<DecodedRecord<V>> {
    const topic = this.#o.topics.find((t) => t.name === record.topic)
    const decoded: Decoded<V> = topic?.schema
      ? await this.#o.codec.decode<V>(record.bytes)
      : { type: 'value', value: (record.bytes ?? Buffer.alloc(0)) as V, writer: null }
    return { ...record, decoded }
  }
}

/** Waits for work that ends. After a crash it may take its time; a stop, also one that begins meanwhile, is short. */
async function untilFree(work: Promise<unknown>, stop: AbortSignal): Promise<void> {
  const ended = new AbortController()
  const wait = work.then(() => ended.abort())
  await pause(freeWithinMs, AbortSignal.any([stop, ended.signal]))
  if (stop.aborted) await within(stoppedWithinMs, wait)
}
