import { tmpdir } from 'node:os'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RetriableError } from '../../lib/errors.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import { openLog } from '../../lib/log.ts'
import type { S3 } from '../../lib/s3.ts'
import { topology } from '../../lib/topology.ts'
import { RowFormats } from '../../services/archiver/row-format.ts'
import { ArchiveSink } from '../../services/archiver/sink.ts'
import type { ArchiveStore } from '../../services/archiver/store.ts'
import { openStore } from '../../services/archiver/store.ts'
import { byPartition, openTestS3, readWholeArchive } from '../support/archive.ts'
import type { World } from '../support/world.ts'
import { createWorld } from '../support/world.ts'

/*
 * Archivers of one partition that are killed, fenced, late, or wrongly believe to be alone, in any order, with a real
 * object store. The log of the partition is the model; the archive must become the same log.
 */

const { recentlyPlayed } = topology()
const topic = recentlyPlayed.name

let world: World
let s3: S3

beforeAll(async () => {
  world = await createWorld()
  s3 = openTestS3(world.env)
})
afterAll(async () => {
  await s3.close()
  await world.release()
})

/** One step of a history; `who` picks a live sink, the owner or a twin that lost the partition. */
type Step =
  | { do: 'write'; who: number; count: number }
  | { do: 'age'; who: number }
  | { do: 'crash' }
  | { do: 'rebalance' }
  | { do: 'reset'; to: number }
  | { do: 'outage'; calls: number; done: boolean }

const who = fc.nat(2)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('write' as const), who, count: fc.integer({ min: 1, max: 9 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('age' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('rebalance' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), to: fc.nat(60) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('outage' as const),
      calls: fc.integer({ min: 1, max: 3 }),
      done: fc.boolean(),
    }),
  },
)

/** Shrinking stops before the test's timeout, so that the failure is reported. */
const whenFailing = { interruptAfterTimeLimit: 200_000, markInterruptAsFailure: true }

interface Member {
  sink: ArchiveSink
  /** Offset of the next record that Kafka hands over. */
  position: number
}

/** The partition, its consumer group and all writers. */
class History {
  readonly prefix = `${world.env.S3_PREFIX}/${crypto.randomUUID()}`
  readonly #log: DecodedRecord<unknown>[]
  readonly #objectBytes: number
  /** Two processes take turns; each remembers its listings. */
  readonly #stores = [openStore(s3, this.prefix), openStore(s3, this.prefix)]
  #terms = 0
  #committed = 0
  #members: Member[] = []
  #now = 0
  #outage = { calls: 0, done: false }

  constructor(offsets: number[], objectBytes: number) {
    this.#log = offsets.map(record)
    this.#objectBytes = objectBytes
    this.#join()
  }

  async run(s: Step): Promise<void> {
    if (s.do === 'outage') this.#outage = { calls: s.calls, done: s.done }
    else if (s.do === 'crash') await this.#end(this.#members.shift())
    else if (s.do === 'reset') {
      // Kafka refuses this while the group has members; a process that hangs may still wake up.
      await this.#end(this.#members.shift())
      this.#committed = Math.min(this.#committed, s.to)
    } else if (s.do !== 'rebalance') {
      const member = this.#members[s.who % this.#members.length]
      if (member) await this.#act(member, s.do === 'write' ? s.count : 0)
    }
    if (s.do === 'crash' || s.do === 'rebalance' || s.do === 'reset') this.#join()
  }

  /** The last owner goes on alone until all is archived and committed. */
  async finish(): Promise<void> {
    this.#outage = { calls: 0, done: false }
    const end = (this.#log.at(-1)?.offset ?? -1) + 1
    for (let turn = 0; this.#committed < end; turn++) {
      if (turn > 500) throw new Error(`It stands still at ${this.#committed} of ${end}`)
      const [owner] = this.#members
      if (owner) await this.#act(owner, 20)
    }
    for (const member of this.#members.splice(0)) await this.#end(member)
  }

  #join(): void {
    const log = openLog('test', 'silent')
    const formats = new RowFormats([recentlyPlayed])
    const sink = new ArchiveSink({
      topic,
      partition: 0,
      store: this.#withOutages(this.#stores[this.#terms++ % 2] ?? openStore(s3, this.prefix)),
      formats,
      objectBytes: this.#objectBytes,
      objectAgeMs: 1000,
      spoolDir: tmpdir(),
      now: () => this.#now,
      log,
    })
    this.#members = [{ sink, position: this.#committed }, ...this.#members].slice(0, 3)
  }

  async #end(member: Member | undefined): Promise<void> {
    await member?.sink.close()
  }

  /** Writes records, or lets time pass; retries through outages, as the Kafka module does. */
  async #act(member: Member, count: number): Promise<void> {
    const batch = this.#log.filter((r) => r.offset >= member.position).slice(0, count)
    if (batch.length === 0) this.#now += 1000
    for (;;) {
      try {
        const settled = batch.length > 0 ? await member.sink.write(batch) : await member.sink.tick()
        member.position = (batch.at(-1)?.offset ?? member.position - 1) + 1
        // Only the owner commits; the group fences all others.
        if (settled.through !== null && member === this.#members[0]) this.#committed = settled.through + 1
        if (settled.through !== null) expect(settled.through).toBeLessThan(member.position)
        return
      } catch (error) {
        if (!(error instanceof RetriableError)) throw error
      }
    }
  }

  #withOutages(store: ArchiveStore): ArchiveStore {
    const strike = async <T>(call: () => Promise<T>): Promise<T> => {
      if (this.#outage.calls-- <= 0) return call()
      if (this.#outage.done) await call()
      throw new RetriableError('by the test')
    }
    return {
      put: (key, object) => strike(() => store.put(key, object)),
      exists: (key) => strike(() => store.exists(key)),
      lastOffset: (key) => strike(() => store.lastOffset(key)),
      contents: (key) => strike(() => store.contents(key)),
      list: (name, partition, freshness) => strike(() => store.list(name, partition, freshness)),
    }
  }
}

function record(offset: number): DecodedRecord<unknown> {
  return {
    topic,
    partition: 0,
    offset,
    timestamp: Date.UTC(2026, 10, 24) + (offset % 3) * 86_400_000,
    key: Buffer.from('7'),
    headers: [],
    bytes: Buffer.from(`record ${offset} `.repeat(5)),
    decoded: { type: 'undecodable', reason: 'not_framed', message: '' },
  }
}

test('whatever is killed, fenced or late: the archive is the log, each record once', {
  timeout: 240_000,
}, async () => {
  const histories = fc.record({
    offsets: fc
      .uniqueArray(fc.nat(60), { minLength: 1, maxLength: 40, size: 'max' })
      .map((o) => o.sort((a, b) => a - b)),
    objectBytes: fc.constantFrom(100, 3000, 100_000),
    steps: fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }),
  })
  await fc.assert(
    fc.asyncProperty(histories, async ({ offsets, objectBytes, steps }) => {
      const history = new History(offsets, objectBytes)
      for (const s of steps) await history.run(s)
      await history.finish()
      const rows = byPartition(await readWholeArchive(s3, history.prefix)).get(`${topic}/0`) ?? []
      expect(rows.map((r) => r.offset)).toEqual(offsets)
      for (const row of rows) expect(row.raw).toEqual(record(row.offset).bytes)
    }),
    { numRuns: Number(process.env.ARCHIVE_HISTORIES ?? 25), ...whenFailing },
  )
})
