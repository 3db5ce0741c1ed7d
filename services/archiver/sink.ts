import { incarnationOf, latestOf, presentObjects } from '../../lib/archive/incarnations.ts'
import type { ArchiveKey } from '../../lib/archive/key.ts'
import { archiveDate } from '../../lib/archive/key.ts'
import { readArchive } from '../../lib/archive/read.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import { checkpoint } from '../../lib/checkpoint.ts'
import { messageOf, RetriableError } from '../../lib/errors.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import type { PartitionSink, Settled } from '../../lib/kafka/sink.ts'
import type { Logger } from '../../lib/log.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Contents } from './contents.ts'
import { holds } from './contents.ts'
import { isDue } from './due.ts'
import type { Begins } from './incarnation-notice.ts'
import type { SealedObject } from './object-builder.ts'
import { ObjectBuilder } from './object-builder.ts'
import type { ArchiverRow, RowFormats } from './row-format.ts'
import { archivedRow, toRow } from './row-format.ts'
import type { ArchiveStore } from './store.ts'
import { ObjectGoneError } from './store.ts'

export interface SinkOptions {
  topic: string
  partition: number
  store: ArchiveStore
  formats: RowFormats
  objectBytes: number
  objectAgeMs: number
  spoolDir: string
  /** A clock in milliseconds that never goes back. */
  now: () => number
  /** Unix time in milliseconds; absent: records are as old as their object has been open. */
  wallClock?: () => number
  /** Called when the archive holds another log, and another incarnation of the partition begins. */
  onIncarnation?: (begins: Begins) => void
  log: Logger
}

/** An object that lost against a twin's shorter one: its rows are taken again, from the first that the twin lacks. */
interface Retake {
  object: SealedObject
  rows: AsyncIterator<ArchivedRecord>
  /** The row to be taken next; null: it must be read. */
  head: ArchivedRecord | null
}

/**
 * Archives one partition for one term of ownership.
 *
 * Invariant: objects of a partition never overlap, never leave a record out and are never overwritten, whoever
 * else writes at the same time. It holds because an object begins with the first record that no object holds
 * (the archive is listed when the term begins, and again after every surprise), ends before the next object
 * that exists, and is put only if its key is free. What became durable is settled after the put, never before.
 *
 * The records that it is given must be those that the archive holds under their offsets. Where they are not, this is
 * another log under the same name, and goes on in the next incarnation of the partition; see `lib/archive/incarnations.ts`.
 *
 * States, each left by one step that may fail and be repeated:
 * - `located`: which objects exist after this point is known;
 * - `builder`: an object grows → full, old, of another schema, or about to meet an existing object → `pending`;
 * - `pending`: sealed, its put is missing → put, or a twin was first: its rows go to `retakes`;
 * - `retakes`: rows of beaten objects, the last one first; they come before any record from outside.
 *
 * `kept` is the last offset that is in the archive or in the builder, so a record that comes twice (a batch
 * repeated after an outage) is taken once.
 */
export class ArchiveSink implements PartitionSink<unknown> {
  readonly #o: SinkOptions
  /** Objects that begin after what is covered; null: not located. */
  #ahead: ArchiveKey[] | null = null
  /** The archive is listed as it was when the term began, or later; past dates too after a surprise. */
  #freshness = { after: performance.now(), past: false }
  /** The incarnation that new objects belong to. */
  #incarnation = 0
  /** The object that covers what is covered, and what it holds once that is asked. */
  #holder: { key: ArchiveKey; contents: Contents | null } | null = null
  #covered = -1
  #kept = -1
  #seen = -1
  #durable = -1
  #settled = -1
  #builder: ObjectBuilder | null = null
  #builderSince = 0
  /** More of the partition waits behind the row in hand. */
  #more = false
  #pending: { object: SealedObject; attempts: number } | null = null
  #retakes: Retake[] = []

  constructor(options: SinkOptions) {
    this.#o = options
  }

  async write(records: DecodedRecord<unknown>[], more = false): Promise<Settled> {
    this.#more = true
    for (const record of records) {
      this.#seen = Math.max(this.#seen, record.offset)
      await this.#advance()
      while (record.offset > this.#kept) {
        await this.#step(toRow(record, this.#o.formats))
        await this.#advance()
      }
    }
    return this.tick(more)
  }

  async tick(more = false): Promise<Settled> {
    this.#more = more
    await this.#advance()
    const through = Math.min(this.#durable, this.#seen)
    if (through <= this.#settled) return { through: null, deadLetters: [] }
    this.#settled = through
    return { through, deadLetters: [] }
  }

  async close(): Promise<void> {
    await this.#builder?.close()
    await this.#pending?.object.close()
    for (const { object } of this.#retakes) await object.close()
  }

  /** Does all that is due before another record may be taken. */
  async #advance(): Promise<void> {
    for (;;) {
      if (this.#pending) await this.#put(this.#pending)
      else if (this.#builder?.blockFull) await this.#spool(this.#builder)
      else if (this.#builder && this.#isDue(this.#builder)) await this.#seal(this.#builder)
      else if (this.#retakes.length > 0) await this.#retake()
      else return
    }
  }

  #isDue(builder: ObjectBuilder): boolean {
    const { now, wallClock, objectAgeMs } = this.#o
    const openMs = now() - this.#builderSince
    const recordAgeMs = wallClock ? wallClock() - builder.first.timestamp : openMs
    return isDue({ full: builder.full, openMs, recordAgeMs, more: this.#more }, objectAgeMs)
  }

  /** One step towards having a row in the archive or in the builder; several may be needed. */
  async #step(row: ArchiverRow): Promise<void> {
    const { offset } = row.row
    const { store, topic, partition } = this.#o
    if (!this.#ahead) {
      const objects = await store.list(topic, partition, this.#freshness)
      this.#incarnation = Math.max(this.#incarnation, latestOf(objects))
      this.#ahead = presentObjects(objects, offset)
      return
    }
    const next = this.#ahead[0]
    if (next && next.firstOffset <= offset) {
      if (this.#builder) return this.#seal(this.#builder)
      return this.#cover(next)
    }
    if (offset <= this.#covered) {
      // Before a log of its own begins, its latest objects must be known.
      if (!(await this.#isHeld(row))) return this.#listPast() ? undefined : this.#diverge(offset)
      this.#kept = offset
      this.#durable = offset
      return
    }
    if (this.#builder && !this.#builder.fits(row.format)) return this.#seal(this.#builder)
    // An object may cover the offsets between: a twin's, under a date that was listed before it was put.
    if (!this.#builder && offset > this.#covered + 1 && this.#listPast()) return
    this.#builder ??= this.#begin(row)
    this.#builder.append(row)
    this.#kept = offset
  }

  /** After a surprise everything is listed again. */
  #listAgain(): void {
    this.#ahead = null
    this.#freshness = { after: performance.now(), past: true }
  }

  /** Past dates are listed again, once; false: they were, as late as is asked for. */
  #listPast(): boolean {
    if (this.#freshness.past) return false
    this.#freshness.past = true
    this.#ahead = null
    // What was taken for covered may be of another log.
    this.#covered = this.#kept
    this.#holder = null
    return true
  }

  #begin(row: ArchiverRow): ObjectBuilder {
    const { formats, topic, spoolDir, objectBytes, now } = this.#o
    this.#builderSince = now()
    const limits = { fallback: formats.ofTopic(topic), spoolDir, objectBytes }
    return new ObjectBuilder({ first: row.row, incarnation: this.#incarnation, ...limits })
  }

  /** Takes note of an existing object that begins at or before a row. A later incarnation may begin within it. */
  async #cover(next: ArchiveKey): Promise<void> {
    const last = await this.#o.store.lastOffset(next).catch((error) => {
      if (error instanceof ObjectGoneError) this.#listAgain()
      throw error
    })
    const following = this.#ahead?.[1]?.firstOffset ?? Number.POSITIVE_INFINITY
    this.#covered = Math.max(this.#covered, Math.min(last, following - 1))
    this.#holder = { key: next, contents: null }
    this.#ahead?.shift()
  }

  /** Whether the archive holds this very record under its offset. */
  async #isHeld(row: ArchiverRow): Promise<boolean> {
    const holder = this.#holder
    if (!holder) return true
    holder.contents ??= await this.#o.store.contents(holder.key)
    return holds(holder.contents, row)
  }

  /**
   * The archive holds another record under an offset: from here on the log is another one than its holder is of. Of
   * the latest incarnation: the next one begins. Of an earlier one: the latest has not been archived so far back.
   */
  #diverge(offset: number): void {
    const { topic, partition, log, onIncarnation } = this.#o
    const known = this.#holder ? incarnationOf(this.#holder.key) : 0
    if (known === this.#incarnation) {
      this.#incarnation++
      const begins = { topic, partition, incarnation: this.#incarnation, offset }
      log.warn(begins, 'incarnation_begun')
      onIncarnation?.(begins)
    }
    this.#covered = offset - 1
    this.#holder = null
    this.#ahead = (this.#ahead ?? []).filter((key) => incarnationOf(key) === this.#incarnation)
  }

  async #spool(builder: ObjectBuilder): Promise<void> {
    const { topic, partition, log, spoolDir } = this.#o
    try {
      await builder.spoolBlock()
    } catch (error) {
      // The object is full by this and goes out as it is: its last block needs no disk.
      log.warn({ topic, partition, spoolDir, reason: messageOf(error) }, 'spool_failed')
    }
  }

  async #seal(builder: ObjectBuilder): Promise<void> {
    this.#pending = { object: await builder.seal(), attempts: 0 }
    this.#builder = null
  }

  async #put(pending: { object: SealedObject; attempts: number }): Promise<void> {
    const { object } = pending
    const key = keyOf(object)
    // After a put whose answer was lost the object is there: asking costs less than sending it once more.
    const there = pending.attempts++ > 0 && (await this.#o.store.exists(key))
    const result = there ? 'exists' : await this.#o.store.put(key, object)
    checkpoint('archiver.put')
    const last = result === 'put' ? object.summary.lastOffset : await this.#twinLast(key, object)
    this.#report(object, result, last)
    this.#pending = null
    this.#holder = null
    this.#covered = last
    this.#kept = last
    // A twin that holds another log has made nothing durable of this one.
    if (last >= object.summary.firstOffset) this.#durable = last
    if (result === 'exists') this.#listAgain()
    if (last >= object.summary.lastOffset) await object.close()
    else this.#retakes.push({ object, rows: rowsOf(object), head: null })
  }

  /** Last offset up to which a twin's object holds the same; before our first one where it is of another log. */
  async #twinLast(key: ArchiveKey, object: SealedObject): Promise<number> {
    const last = await this.#o.store.lastOffset(key)
    if (last < object.first.offset) {
      const place = `${key.topic}/${key.partition}/${key.firstOffset}`
      throw new RetriableError(`The object at ${place} ends before it begins`)
    }
    const contents = await this.#o.store.contents(key)
    for await (const row of rowsOf(object)) {
      if (row.offset > last) break
      if (!holds(contents, archivedRow(row, object.format))) return row.offset - 1
    }
    return last
  }

  /** Takes the next row of the beaten object that was sealed last: its rows come before those of all others. */
  async #retake(): Promise<void> {
    const top = this.#retakes.at(-1)
    if (!top) return
    if (!top.head) {
      const next = await top.rows.next()
      if (next.done) {
        this.#retakes.pop()
        await top.object.close()
        return
      }
      top.head = next.value
    }
    if (top.head.offset <= this.#kept) top.head = null
    else await this.#step(archivedRow(top.head, top.object.format))
  }

  #report(object: SealedObject, result: 'put' | 'exists', lastOffset: number): void {
    const { topic, partition, log } = this.#o
    const { firstOffset, recordCount } = object.summary
    metrics.objectsArchived.inc({ topic, result: result === 'put' ? 'put' : 'twin' })
    if (result === 'put') {
      metrics.recordsArchived.inc({ topic }, recordCount)
      metrics.bytesArchived.inc({ topic }, object.length)
    }
    const fields = { topic, partition, firstOffset, lastOffset, records: recordCount, bytes: object.length }
    log.info(fields, result === 'put' ? 'object_put' : 'object_exists')
  }
}

function keyOf({ first, summary: { incarnation } }: SealedObject): ArchiveKey {
  const { topic, partition, offset, timestamp } = first
  const date = archiveDate(timestamp)
  return { topic, partition, firstOffset: offset, date, ...(incarnation && { incarnation }) }
}

async function* rowsOf(object: SealedObject): AsyncGenerator<ArchivedRecord> {
  yield* (await readArchive(object.open())).rows
}
