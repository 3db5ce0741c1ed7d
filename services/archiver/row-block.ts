import avsc from 'avsc'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import { rowSchema } from '../../lib/archive/row.ts'
import type { RowFormat } from './row-format.ts'

const { fields } = rowSchema(null)
const prefixType = avsc.Type.forSchema({
  type: 'record',
  name: 'RowPrefix',
  fields: fields.filter((f) => f.name !== 'value' && f.name !== 'raw'),
} as avsc.Schema)
const rawType = avsc.Type.forSchema(['null', 'bytes'])

const initialBytes = 16 << 10
/** A small buffer doubles; a larger one grows by this much only, because each partition has one. */
const growthBytes = 128 << 10
/** Length of the union's index before a value. */
const unionIndexBytes = 1

/** Rows of a block in Avro binary, in one buffer that grows and is reused. */
export class RowBlock {
  #buffer = Buffer.allocUnsafe(initialBytes)
  #length = 0
  #rows = 0

  get rows(): number {
    return this.#rows
  }

  /** The encoded rows; valid until the next change. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /**
   * Appends a row, unless its value cannot be encoded or its encoding differs from `valueBytes` (a legal but unusual
   * encoding, or text that is not UTF-8). Then the block is unchanged and the result false.
   *
   * @param valueBytes the value's Avro binary, or null if there is none or it was checked before
   */
  append(row: ArchivedRecord, format: RowFormat, valueBytes: Buffer | null): boolean {
    const start = this.#length
    try {
      if (this.#encode(row, format, valueBytes)) return true
    } catch (error) {
      // A row without a value cannot be appended in another form.
      if (row.value === null) throw error
    }
    this.#length = start
    return false
  }

  #encode(row: ArchivedRecord, format: RowFormat, valueBytes: Buffer | null): boolean {
    // Avro encodes a record as its fields, one after the other.
    this.#put(prefixType, row)
    const valueStart = this.#length + unionIndexBytes
    this.#put(format.value, row.value)
    if (valueBytes && !valueBytes.equals(this.#buffer.subarray(valueStart, this.#length))) return false
    this.#put(rawType, row.raw)
    this.#rows++
    return true
  }

  clear(): void {
    this.#length = 0
    this.#rows = 0
  }

  #put(type: avsc.Type, value: unknown): void {
    let end = type.encode(value, this.#buffer, this.#length)
    if (end < 0) {
      const needed = this.#buffer.length - end
      const growth = Math.min(this.#buffer.length, growthBytes)
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length + growth))
      this.#buffer.copy(larger, 0, 0, this.#length)
      this.#buffer = larger
      end = type.encode(value, this.#buffer, this.#length)
    }
    this.#length = end
  }
}
