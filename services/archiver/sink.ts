import type { ArchiveKey } from '../../lib/archive/key.ts'
import { messageOf } from '../../lib/errors.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import type { PartitionSink, Settled } from '../../lib/kafka/sink.ts'
import type { Logger } from '../../lib/log.ts'
import { metrics } from '../../lib/metrics.ts'
import { BeatenObjects } from './beaten-objects.ts'
import type { Contents } from './contents.ts'
import { holds } from './contents.ts'
import { isDue } from './due.ts'
import type { FrontierEvent } from './frontier.ts'
import { committable, next, openFrontier, stepFor } from './frontier.ts'
import type { Begins } from './incarnation-notice.ts'
import type { SealedObject } from './object-builder.ts'
import { ObjectBuilder } from './object-builder.ts'
import type { SealedPut } from './put-once.ts'
import { putOnce } from './put-once.ts'
import type { ArchiverRow, RowFormats } from './row-format.ts'
import { toRow } from './row-format.ts'
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
  /** A monotonic clock in milliseconds. */
  now: () => number
  /** Unix time in milliseconds. If absent, records are as old as their object has been open. */
  wallClock?: () => number
  /** Called when the archive holds another log and the next incarnation of the partition begins. */
  onIncarnation?: (begins: Begins) => void
  log: Logger
}

/**
 * Archives one partition for one term of ownership.
 *
 * Invariant: objects of a partition never overlap, never leave a record out and are never overwritten, even if
 * another archiver writes at the same time. An object begins with the first record that no object holds (the archive
 * is listed when the term begins, and again after every surprise), ends before the next existing object, and is put
 * only if its key is free. An offset is settled after the put, never before.
 *
 * If the archive holds another record under an offset, the topic has another log under the same name. It is archived
 * as the next incarnation of the partition; see `lib/archive/incarnations.ts`.
 *
 * {@link Frontier}, which is pure, decides what is next and what may be committed. The sink does the I/O; a step that
 * fails is repeated:
 * - `builder`: an object grows → full, old, of another schema, or about to meet an existing object → `sealed`;
 * - `sealed`: not put yet → put; or a twin has its key, and records that the twin's lacks become `beaten`;
 * - `beaten`: rows that are taken before any record from Kafka.
 */
export class ArchiveSink implements PartitionSink<unknown> {
  readonly #o: SinkOptions
  #frontier = openFrontier(performance.now())
  #committed = -1
  /** The contents of the holder, once read. */
  #held: { key: ArchiveKey; contents: Contents } | null = null
  #builder: ObjectBuilder | null = null
  #builderSince = 0
  /** More records of the partition wait behind the current row. */
  #more = false
  #sealed: SealedPut | null = null
  readonly #beaten = new BeatenObjects()

  constructor(options: SinkOptions) {
    this.#o = options
  }

  async write(records: DecodedRecord<unknown>[], more = false): Promise<Settled> {
    this.#more = true
    for (const record of records) {
      this.#note({ type: 'record', offset: record.offset })
      await this.#advance()
      while (record.offset > this.#frontier.taken) {
        await this.#step(toRow(record, this.#o.formats))
        await this.#advance()
      }
    }
    return this.tick(more)
  }

  async tick(more = false): Promise<Settled> {
    this.#more = more
    await this.#advance()
    const through = committable(this.#frontier)
    if (through <= this.#committed) return { through: null, deadLetters: [] }
    this.#committed = through
    return { through, deadLetters: [] }
  }

  async close(): Promise<void> {
    await this.#builder?.close()
    await this.#sealed?.object.close()
    await this.#beaten.close()
  }

  #note(event: FrontierEvent): void {
    this.#frontier = next(this.#frontier, event)
    if (this.#held?.key !== this.#frontier.holder?.key) this.#held = null
  }

  /** Does everything that is due before the next record may be taken. */
  async #advance(): Promise<void> {
    for (;;) {
      if (this.#sealed) await this.#put(this.#sealed)
      else if (this.#builder?.blockFull) await this.#spool(this.#builder)
      else if (this.#builder && this.#isDue(this.#builder)) await this.#seal(this.#builder)
      else if (this.#beaten.isEmpty) return
      else await this.#retake()
    }
  }

  #isDue(builder: ObjectBuilder): boolean {
    const { now, wallClock, objectAgeMs } = this.#o
    const openMs = now() - this.#builderSince
    const recordAgeMs = wallClock ? wallClock() - builder.first.timestamp : openMs
    return isDue({ full: builder.full, openMs, recordAgeMs, more: this.#more }, objectAgeMs)
  }

  /** Takes the next row of the beaten objects. */
  async #retake(): Promise<void> {
    const row = await this.#beaten.head()
    if (row && row.row.offset > this.#frontier.taken) await this.#step(row)
    else this.#beaten.skip()
  }

  /** Takes one step towards having a row in the archive or in the builder; several may be needed. */
  async #step(row: ArchiverRow): Promise<void> {
    const { offset } = row.row
    const { store, topic, partition } = this.#o
    const step = stepFor(this.#frontier, offset, this.#builder?.fits(row.format) ?? true)
    switch (step.type) {
      case 'list': {
        const { freshness } = step
        const objects = await store.list(topic, partition, freshness)
        return this.#note({ type: 'listed', objects, offset, freshness })
      }
      case 'measure':
        return this.#measure(step.key)
      case 'compare':
        return this.#compare(row, step.key)
      case 'put':
        return this.#builder ? this.#seal(this.#builder) : undefined
      case 'append':
        this.#builder ??= this.#begin(row)
        this.#builder.append(row)
        return this.#note({ type: 'appended', offset })
    }
  }

  async #measure(key: ArchiveKey): Promise<void> {
    const last = await this.#o.store.lastOffset(key).catch((error) => {
      if (error instanceof ObjectGoneError) this.#note({ type: 'gone', at: performance.now() })
      throw error
    })
    this.#note({ type: 'measured', last })
  }

  async #compare(row: ArchiverRow, key: ArchiveKey): Promise<void> {
    const { topic, partition, log, onIncarnation } = this.#o
    this.#held ??= { key, contents: await this.#o.store.contents(key) }
    const before = this.#frontier.incarnation
    const { offset } = row.row
    this.#note({ type: 'compared', offset, isHeld: holds(this.#held.contents, row) })
    const { incarnation } = this.#frontier
    if (incarnation === before) return
    log.warn({ topic, partition, incarnation, offset }, 'incarnation_begun')
    onIncarnation?.({ topic, partition, incarnation, offset })
  }

  #begin(row: ArchiverRow): ObjectBuilder {
    const { formats, topic, spoolDir, objectBytes, now } = this.#o
    this.#builderSince = now()
    const limits = { fallback: formats.ofTopic(topic), spoolDir, objectBytes }
    return new ObjectBuilder({ first: row.row, incarnation: this.#frontier.incarnation, ...limits })
  }

  async #spool(builder: ObjectBuilder): Promise<void> {
    const { topic, partition, log, spoolDir } = this.#o
    try {
      await builder.spoolBlock()
    } catch (error) {
      // The object is full now and is put as it is: its last block needs no disk.
      log.warn({ topic, partition, spoolDir, reason: messageOf(error) }, 'spool_failed')
    }
  }

  async #seal(builder: ObjectBuilder): Promise<void> {
    this.#sealed = { object: await builder.seal(), attempts: 0 }
    this.#builder = null
  }

  async #put(sealed: SealedPut): Promise<void> {
    const { object } = sealed
    const { firstOffset, lastOffset } = object.summary
    const { isTwin, through } = await putOnce(this.#o.store, sealed)
    this.#report(object, isTwin, through)
    this.#sealed = null
    this.#note({ type: 'put', first: firstOffset, through, isTwin, at: performance.now() })
    if (through >= lastOffset) await object.close()
    else this.#beaten.add(object)
  }

  #report(object: SealedObject, isTwin: boolean, lastOffset: number): void {
    const { topic, partition, log } = this.#o
    const { firstOffset, recordCount } = object.summary
    metrics.objectsArchived.inc({ topic, result: isTwin ? 'twin' : 'put' })
    if (!isTwin) {
      metrics.recordsArchived.inc({ topic }, recordCount)
      metrics.bytesArchived.inc({ topic }, object.length)
    }
    const fields = { topic, partition, firstOffset, lastOffset, records: recordCount, bytes: object.length }
    log.info(fields, isTwin ? 'object_exists' : 'object_put')
  }
}
