import pLimit from 'p-limit'
import type { DeadLetter } from '../../lib/kafka/dead-letter.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import type { OpenSink, PartitionSink, Settled } from '../../lib/kafka/sink.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { Stretch } from './journal.ts'

/** The next records of a partition, in offset order. */
export interface Portion {
  stretch: Stretch
  /** Only those that are wanted. */
  records: DecodedRecord<SpotifyResponse>[]
  /** The number of records read for this portion, wanted or not, and the offset of the last. */
  read: number
  through: number
}

export interface FeederOptions {
  openSink: OpenSink<SpotifyResponse>
  /** Makes the dead letters of one partition's records durable, before `stretch.next` moves past them. */
  onDeadLetters: (letters: DeadLetter[], of: { place: string; records: Portion['records'] }) => Promise<void>
  /** Called with the number of further records whose effect is durable: all that were read, and the wanted ones. */
  onSettled: (settled: { read: number; wanted: number }) => void
  signal: AbortSignal
}

/** As many as the batches that the loader works on at a time. */
const partitionsAtATime = 3
const portionsWaiting = 6
/** A sink may need several rounds: records that another archiver's object lacks go into one more object. */
const mostRounds = 1_000

interface PartitionFeed {
  /** `topic/partition`. */
  place: string
  sink: PartitionSink<SpotifyResponse>
  /** Resolves when all portions of the partition so far are written. */
  tail: Promise<void>
  /** Portions whose effect is not durable yet, without their records: an object may hold a million. */
  held: Held[]
}

interface Held {
  stretch: Stretch
  /** Offset of the last wanted record, or null if none was wanted. */
  last: number | null
  through: number
  read: number
  wanted: number
}

/**
 * Feeds sinks as the live consumer does: one call at a time for a partition, several partitions concurrently. The
 * effect comes first, then the dead letters, and only then the place (`stretch.next`). After a failure it writes
 * nothing more.
 */
export class Feeder {
  readonly #o: FeederOptions
  readonly #limit = pLimit(partitionsAtATime)
  /** By topic and partition; the logs of a partition share a feed, one after the other. */
  readonly #feeds = new Map<string, PartitionFeed>()
  #waiting = 0
  #wake: (() => void)[] = []
  #failure: { error: unknown } | null = null

  constructor(options: FeederOptions) {
    this.#o = options
  }

  /** Resolves when there is room for more. @throws the first error of a sink */
  async feed(portion: Portion): Promise<void> {
    const feed = this.#feedOf(portion.stretch)
    this.#waiting++
    feed.tail = feed.tail
      .then(() => this.#limit(() => this.#write(feed, portion)))
      .catch((error) => {
        this.#failure ??= { error }
      })
      .finally(() => {
        this.#waiting--
        for (const wake of this.#wake.splice(0)) wake()
      })
    while (this.#waiting >= portionsWaiting && !this.#failure) {
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
    if (this.#failure) throw this.#failure.error
  }

  /**
   * Waits until the effect of all portions is durable.
   *
   * @param ripen moves the clock of sinks that hold records back, because no record follows
   */
  async finish(ripen: () => void = () => undefined): Promise<void> {
    await Promise.all([...this.#feeds.values()].map((feed) => feed.tail))
    if (this.#failure) throw this.#failure.error
    const holding = () => [...this.#feeds.values()].filter((feed) => feed.held.length > 0)
    for (let round = 0; holding().length > 0 && !this.#o.signal.aborted; round++) {
      if (round >= mostRounds) throw new Error('A sink does not settle what it was given')
      ripen()
      for (const feed of holding()) await this.#settle(feed, { ...(await feed.sink.tick()), records: [] })
    }
  }

  async close(): Promise<void> {
    this.#failure ??= { error: new Error('The feeder was closed') }
    await Promise.all([...this.#feeds.values()].map((feed) => feed.tail))
    for (const { sink } of this.#feeds.values()) await sink.close()
  }

  #feedOf({ topic, partition }: Stretch): PartitionFeed {
    const name = `${topic}/${partition}`
    const known = this.#feeds.get(name)
    if (known) return known
    const { openSink, signal } = this.#o
    const sink = openSink(topic, partition, signal)
    const feed = { place: name, sink, tail: Promise.resolve(), held: [] }
    this.#feeds.set(name, feed)
    return feed
  }

  async #write(feed: PartitionFeed, portion: Portion): Promise<void> {
    if (this.#failure || this.#o.signal.aborted) return
    const { stretch, records, through, read } = portion
    feed.held.push({ stretch, last: records.at(-1)?.offset ?? null, through, read, wanted: records.length })
    if (records.length === 0) {
      // The portion needs no effect, but settles only after the earlier ones that the sink may hold.
      await this.#settle(feed, { through: null, deadLetters: [], records })
      return
    }
    const settled = await feed.sink.write(records)
    await this.#settle(feed, { ...settled, records })
  }

  async #settle(feed: PartitionFeed, settled: Settled & Pick<Portion, 'records'>): Promise<void> {
    await this.#o.onDeadLetters(settled.deadLetters, { place: feed.place, records: settled.records })
    const through = settled.through ?? -1
    for (let first = feed.held[0]; first; first = feed.held[0]) {
      if (first.last !== null && first.last > through) break
      feed.held.shift()
      first.stretch.next = Math.max(first.stretch.next, first.through + 1)
      this.#o.onSettled(first)
    }
  }
}
