import type { Hash } from 'node:crypto'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { encodeBlock, encodeHeader, syncMarker } from '../../lib/archive/container.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import { Spool } from '../../lib/archive/spool.ts'
import type { ObjectSummary } from '../../lib/archive/summary.ts'
import { userOf } from '../../lib/archive/user-index.ts'
import { compress } from '../../lib/zstd.ts'
import { RowBlock } from './row-block.ts'
import type { ArchiverRow, RowFormat } from './row-format.ts'
import { asRaw } from './row-format.ts'

/** Rows of one block before compression. */
const blockBytes = 1 << 20

/** A complete object that is not put yet. */
export interface SealedObject {
  first: FirstRecord
  summary: ObjectSummary
  /** In bytes. */
  length: number
  /** In base64. */
  md5: string
  /** The schema and types of its rows. */
  format: RowFormat
  /** Users named by the keys of its rows. */
  users: ReadonlySet<string>
  /** Opens its bytes; may be called several times. */
  open(): Readable
  close(): Promise<void>
}

/** The record that an object is named after. */
export type FirstRecord = Pick<ArchivedRecord, 'topic' | 'partition' | 'offset' | 'timestamp' | 'key'>

export interface BuilderOptions {
  first: FirstRecord
  /** Incarnation of the partition's log; the first one if absent. */
  incarnation?: number
  /** Format of an object whose first block holds no decoded value. */
  fallback: RowFormat
  spoolDir: string
  /** Size at which the object is full. */
  objectBytes: number
}

/**
 * An object file that grows row by row. The same rows give the same bytes: blocks end where their rows pass a size,
 * never at the end of a batch or at a time.
 *
 * The header holds the schema of the values and is fixed with the first block. Rows without a decoded value fit any
 * schema.
 */
export class ObjectBuilder {
  readonly #options: Omit<BuilderOptions, 'first' | 'incarnation'>
  readonly #incarnation: number
  readonly #first: FirstRecord
  readonly #sync: Buffer
  readonly #spool: Spool
  readonly #blockBytes: number
  readonly #md5: Hash = createHash('md5')
  readonly #block = new RowBlock()
  #format: RowFormat | null = null
  readonly #users = new Set<string>()
  #recordCount = 0
  #lastOffset = -1
  #spoolFailed = false

  constructor(options: BuilderOptions) {
    const { topic, partition, offset, timestamp, key } = options.first
    // A copy, because the key is a slice of a whole fetch, which must not stay in memory as long as the object.
    this.#first = { topic, partition, offset, timestamp, key: key && Buffer.from(key) }
    this.#options = {
      fallback: options.fallback,
      spoolDir: options.spoolDir,
      objectBytes: options.objectBytes,
    }
    this.#incarnation = options.incarnation ?? 0
    this.#sync = syncMarker({ topic, partition, firstOffset: offset, incarnation: this.#incarnation })
    this.#spool = new Spool(options.spoolDir)
    this.#blockBytes = Math.min(blockBytes, options.objectBytes)
  }

  get first(): FirstRecord {
    return this.#first
  }

  /** Whether this object can hold rows of this format, or of none (null), as rows without a decoded value are. */
  fits(format: RowFormat | null): boolean {
    return format === null || this.#format === null || this.#format.id === format.id
  }

  /** Appends a row that {@link fits}, in memory only. */
  append(added: ArchiverRow): void {
    const { row, format, valueBytes } = added
    if (format && this.#block.append(row, format, valueBytes)) this.#format ??= format
    else this.#block.append(asRaw(added), this.#format ?? this.#options.fallback, null)
    const user = userOf(row.key)
    if (user !== null) this.#users.add(user)
    this.#recordCount++
    this.#lastOffset = row.offset
  }

  /** A block is complete and waits for {@link spoolBlock}. */
  get blockFull(): boolean {
    return this.#block.bytes.length >= this.#blockBytes && !this.#spoolFailed
  }

  /** It must be sealed: it has reached its size, or the disk takes no more. */
  get full(): boolean {
    return this.#spoolFailed || this.#spool.length >= this.#options.objectBytes
  }

  /**
   * Compresses the current block and moves it to the spool.
   * @throws the system's error if the disk does not take it; the object is {@link full} then, and keeps the block
   */
  async spoolBlock(): Promise<void> {
    const bytes = await this.#encodeBlock()
    try {
      await this.#spool.append(bytes)
    } catch (error) {
      this.#spoolFailed = true
      throw error
    }
    this.#md5.update(bytes)
    this.#block.clear()
  }

  /** Ends the object. Needs no disk: the last block stays in memory. */
  async seal(): Promise<SealedObject> {
    const tail = this.#block.rows > 0 ? await this.#encodeBlock() : Buffer.alloc(0)
    const spool = this.#spool
    async function* chunks() {
      yield* spool.read()
      yield tail
    }
    return {
      first: this.#first,
      summary: {
        firstOffset: this.#first.offset,
        lastOffset: this.#lastOffset,
        recordCount: this.#recordCount,
        ...(this.#incarnation && { incarnation: this.#incarnation }),
      },
      length: spool.length + tail.length,
      md5: this.#md5.update(tail).digest('base64'),
      format: this.#format ?? this.#options.fallback,
      users: this.#users,
      open: () => Readable.from(chunks(), { objectMode: false }),
      close: () => spool.close(),
    }
  }

  /** Discards the object. */
  close(): Promise<void> {
    return this.#spool.close()
  }

  async #encodeBlock(): Promise<Buffer> {
    this.#format ??= this.#options.fallback
    const { rows, bytes } = this.#block
    const block = encodeBlock(rows, await compress(bytes), this.#sync)
    if (this.#spool.length > 0) return block
    return Buffer.concat([encodeHeader(this.#format.schema, this.#sync), block])
  }
}
