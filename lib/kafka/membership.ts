import type kafkajs from 'kafkajs'
import { messageOf } from '../errors.ts'
import type { ConsumerOptions } from './consumer-options.ts'
import type { EndingWork } from './ending-work.ts'
import type { GroupCommit } from './kafkajs-patches.ts'
import type { AssignedLog, Assignment, LogGuard } from './log-guard.ts'
import { toCommitText } from './log-mark.ts'
import type { PartitionWorker } from './partition-worker.ts'

/** A partition in one generation. Its log is null, and nothing is fetched, until the log is checked. */
export interface AssignedPartition<V> {
  worker: PartitionWorker<V>
  log: AssignedLog | null
}

export interface MembershipParts<V> {
  consumer: kafkajs.Consumer
  guard: LogGuard
  ending: EndingWork<V>
  openWorker: (topic: string, partition: number) => PartitionWorker<V>
  onRead: () => void
  crash: (reason: string) => void
}

/**
 * The partitions that a consumer has in the present generation of its group.
 *
 * States: none → assigned (their logs are being checked) → known; and none again as soon as another generation may
 * have begun.
 */
export class Membership<V> {
  readonly #o: Pick<ConsumerOptions<V>, 'onAssigned' | 'onLogChange'>
  readonly #parts: MembershipParts<V>
  readonly #partitions = new Map<string, AssignedPartition<V>>()
  /** A new value for each generation. */
  #generation = Symbol()
  #isAsking = false

  constructor(options: Pick<ConsumerOptions<V>, 'onAssigned' | 'onLogChange'>, parts: MembershipParts<V>) {
    this.#o = options
    this.#parts = parts
  }

  get size(): number {
    return this.#partitions.size
  }

  get workers(): PartitionWorker<V>[] {
    return [...this.#partitions.values()].map(({ worker }) => worker)
  }

  of(place: string): AssignedPartition<V> | undefined {
    return this.#partitions.get(place)
  }

  /** Called when the partitions may be another member's: their workers commit nothing after this. */
  fence(): void {
    for (const [place, { worker }] of this.#partitions) this.#parts.ending.revoke(place, worker)
    this.#partitions.clear()
    this.#generation = Symbol()
  }

  /** Begins a generation. Each worker waits for the end of the partition's earlier one. */
  assign(assignment: Assignment): void {
    const { openWorker, ending } = this.#parts
    for (const [topic, partitions] of Object.entries(assignment)) {
      for (const partition of partitions) {
        const place = `${topic}/${partition}`
        const worker = openWorker(topic, partition)
        this.#partitions.set(place, { worker, log: null })
        worker.start(ending.untilFree(place))
      }
    }
    this.#o.onAssigned([...this.#partitions.keys()])
  }

  /**
   * Checks, before anything is fetched, whether the logs are those that the group has read. Rewinds a position of
   * another log to the earliest record; otherwise the records before the position would be skipped. Never rejects.
   */
  async lookAtLogs(assignment: Assignment, commit: GroupCommit): Promise<void> {
    const { guard, onRead, crash } = this.#parts
    const generation = this.#generation
    const isPresent = () => this.#generation === generation
    try {
      const { logs, changes } = await guard.check(assignment)
      if (!isPresent()) return
      const rewound = logs.filter((log) => log.rewindTo !== null)
      if (rewound.length > 0) await this.#rewind(rewound, commit)
      for (const change of changes) this.#o.onLogChange(change)
      if (!isPresent()) return
      for (const log of logs) {
        const partition = this.#partitions.get(`${log.topic}/${log.partition}`)
        if (partition) partition.log = log
      }
      onRead()
    } catch (error) {
      if (isPresent()) crash(messageOf(error))
    }
  }

  /**
   * Checks whether a topic was created again. A fetch cannot show that once the new log has grown past the position;
   * only the topic's id can.
   */
  async lookAtTopics(): Promise<void> {
    const generation = this.#generation
    const logs = [...this.#partitions.values()].flatMap(({ log }) => log ?? [])
    if (this.#isAsking || logs.length === 0) return
    this.#isAsking = true
    const isReplaced = await this.#parts.guard.isReplaced(logs).catch(() => false)
    this.#isAsking = false
    if (isReplaced && this.#generation === generation) this.#parts.crash('a topic was made again')
  }

  /** Also commits the new positions, so that a rewind happens once; if Kafka refuses the commit, the consumer ends. */
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
      this.#parts.consumer.seek({ topic, partition, offset: String(rewindTo) })
    }
  }
}
