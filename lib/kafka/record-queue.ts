import { free } from '../zstd.ts'
import type { RawRecord } from './record.ts'

/** Waiting records of one partition, in offset order. */
export class RecordQueue {
  readonly #maxBytes: number
  #records: RawRecord[] = []
  #bytes = 0
  #lastOffset = -1
  #end = 0

  /** @param maxBytes from this size on it counts as full */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * Adds fetched records; ignores repetitions.
   *
   * @param end the partition's high watermark, which came with these records
   */
  add(records: readonly RawRecord[], end: number): void {
    this.#end = end
    for (const record of records) {
      if (record.offset <= this.#lastOffset) continue
      this.#lastOffset = record.offset
      this.#records.push(record)
      this.#bytes += sizeOf(record)
    }
  }

  get isEmpty(): boolean {
    return this.#records.length === 0
  }

  get isFull(): boolean {
    return this.#bytes >= this.#maxBytes
  }

  /** Whether records wait behind the taken ones, here or at the broker. */
  get hasMore(): boolean {
    return !this.isEmpty || this.#lastOffset + 1 < this.#end
  }

  get nextOffset(): number | null {
    return this.#records[0]?.offset ?? null
  }

  /** Takes the first records within both limits; at least one. */
  take({ records: most, bytes: mostBytes }: { records: number; bytes: number }): RawRecord[] {
    let bytes = 0
    let n = 0
    for (const record of this.#records) {
      if (n >= most || (n > 0 && bytes + sizeOf(record) > mostBytes)) break
      bytes += sizeOf(record)
      n++
    }
    this.#bytes -= bytes
    return this.#records.splice(0, n)
  }

  /** Puts taken records back in front. */
  putBack(records: readonly RawRecord[]): void {
    this.#records.unshift(...records)
    this.#bytes += records.reduce((sum, record) => sum + sizeOf(record), 0)
  }

  clear(): void {
    this.#records = []
    this.#bytes = 0
  }

  /** Frees the memory of taken records, except memory that waiting records share. */
  freeMemory(records: readonly RawRecord[]): void {
    const kept = new Set(this.#records.flatMap(memoryOf))
    for (const memory of new Set(records.flatMap(memoryOf))) if (!kept.has(memory)) free(memory)
  }
}

/** The memory that holds the parts of a record. */
function memoryOf({ bytes, key, headers }: RawRecord): ArrayBufferLike[] {
  return [bytes, key, ...headers.map(({ value }) => value)].flatMap((part) => part?.buffer ?? [])
}

function sizeOf(record: RawRecord): number {
  return (record.bytes?.length ?? 0) + (record.key?.length ?? 0) + 100
}
