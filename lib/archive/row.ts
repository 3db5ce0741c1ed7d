import avsc from 'avsc'
import type { Header } from '../kafka/record.ts'
import type { AvroSchema } from '../topology.ts'

/** One row of an archive object: a record as it lay in its topic. */
export interface ArchivedRecord<V = unknown> {
  topic: string
  partition: number
  offset: number
  /** Unix time in milliseconds. */
  timestamp: number
  key: Buffer | null
  headers: Header[]
  /** The decoded value, or null for a tombstone, and where `raw` holds what could not be decoded. */
  value: V | null
  /** The value's bytes as they were, schema id included, when they could not be decoded. */
  raw: Buffer | null
}

/**
 * The schema of an object's rows. It embeds the schema that the values were written with, so that a field
 * which only newer producers know is archived like every other.
 *
 * @param writer the values' schema; null in an object without any decoded value
 */
export function rowSchema(writer: AvroSchema | null): AvroSchema {
  return {
    type: 'record',
    name: 'ArchivedRecord',
    fields: [
      { name: 'topic', type: 'string' },
      { name: 'partition', type: 'int' },
      { name: 'offset', type: 'long' },
      { name: 'timestamp', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'key', type: ['null', 'bytes'] },
      { name: 'headers', type: { type: 'array', items: headerSchema } },
      { name: 'value', type: writer ? ['null', writer] : ['null'] },
      { name: 'raw', type: ['null', 'bytes'] },
    ],
  }
}

const headerSchema = {
  type: 'record',
  name: 'ArchivedHeader',
  fields: [
    { name: 'name', type: 'string' },
    { name: 'value', type: ['null', 'bytes'] },
  ],
}

/**
 * The Avro type of rows with this schema; logical types stay plain numbers, as in the codec.
 * @throws Error for a schema that cannot stand there (a union within the union, a name used twice)
 */
export function rowType(schema: AvroSchema): avsc.Type {
  return avsc.Type.forSchema(schema as avsc.Schema)
}
