import avsc from 'avsc'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import { rowSchema, rowType } from '../../lib/archive/row.ts'
import type { Writer } from '../../lib/codec.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import type { AvroSchema, Topic } from '../../lib/topology.ts'

/** The encoding of rows whose values were written with one schema. */
export interface RowFormat {
  /** Equal for equal schemas. */
  id: string
  /** Schema of the object file. */
  schema: AvroSchema
  /** The union of null and the value. */
  value: avsc.Type
}

/** A record on its way into an object. */
export interface ArchiverRow {
  row: ArchivedRecord
  /** The format that its value needs, or null if it has no decoded value; any format can hold it then. */
  format: RowFormat | null
  /** The Avro binary that the value's encoding is checked against, or null if it has none or was checked before. */
  valueBytes: Buffer | null
  /** The value's bytes as in the topic, or null for a tombstone. */
  bytes: Buffer | null
}

/** Bytes before the Avro binary: a zero, the schema's id. */
export const framingBytes = 5

/** A record as a row: decoded if possible, else raw. */
export function toRow(record: DecodedRecord<unknown>, formats: RowFormats): ArchiverRow {
  const { topic, partition, offset, timestamp, key, headers, bytes, decoded } = record
  const row = { topic, partition, offset, timestamp, key, headers, value: null, raw: bytes }
  const format = decoded.type === 'value' && decoded.writer ? formats.ofWriter(decoded.writer) : null
  if (decoded.type !== 'value' || bytes === null || format === null) {
    return { row, format: null, valueBytes: null, bytes }
  }
  const decodedRow = { ...row, value: decoded.value, raw: null }
  return { row: decodedRow, format, valueBytes: bytes.subarray(framingBytes), bytes }
}

/** The same record with its value undecoded. */
export function asRaw({ row, bytes }: ArchiverRow): ArchivedRecord {
  return { ...row, value: null, raw: bytes }
}

/** A row of an earlier object, to append it to another one. */
export function archivedRow(row: ArchivedRecord, format: RowFormat): ArchiverRow {
  return { row, format: row.value === null ? null : format, valueBytes: null, bytes: row.raw }
}

/** The formats of a process, one per schema. */
export class RowFormats {
  readonly #byWriter = new Map<number, RowFormat | null>()
  readonly #byTopic: Map<string, RowFormat>

  constructor(topics: readonly Pick<Topic, 'name' | 'schema'>[]) {
    this.#byTopic = new Map(topics.map((t) => [t.name, rowFormat(t.schema) ?? undecoded]))
  }

  /** The format for objects without a decoded value: the schema that the topic's own producers use. */
  ofTopic(topic: string): RowFormat {
    return this.#byTopic.get(topic) ?? undecoded
  }

  /** Null if no object can embed this schema (a union, or a name that the rows use too). */
  ofWriter(writer: Writer): RowFormat | null {
    const known = this.#byWriter.get(writer.id)
    if (known !== undefined) return known
    const format = rowFormat(writer.schema)
    this.#byWriter.set(writer.id, format)
    return format
  }
}

/** The format of rows with values of this schema, or null if no object can embed it. */
function rowFormat(schema: AvroSchema | null): RowFormat | null {
  try {
    const embedded =
      schema && (avsc.Type.forSchema(schema as avsc.Schema).schema({ exportAttrs: true }) as AvroSchema)
    return formatOf(embedded)
  } catch {
    return null
  }
}

function formatOf(embedded: AvroSchema | null): RowFormat {
  const schema = rowSchema(embedded)
  const row = rowType(schema) as avsc.types.RecordType
  return { id: JSON.stringify(embedded), schema, value: row.field('value').type }
}

const undecoded = formatOf(null)
