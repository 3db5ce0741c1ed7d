import avsc from 'avsc'
import type { Header } from '../kafka/record.ts'
import type { AvroSchema } from '../topology.ts'

/** One row of an archive object: a record as it was in its topic. */
export interface ArchivedRecord<V = unknown> {
  topic: string
  partition: number
  offset: number
  /** Unix time in milliseconds. */
  timestamp: number
  key: Buffer | null
  headers: Header[]
  /** The decoded value; null for a tombstone, or if `raw` holds a value that could not be decoded. */
  value: V | null
  /** The value's bytes, schema id included, or null unless they could not be decoded. */
  raw: Buffer | null
}

/**
 * The schema of an object's rows. It embeds the schema that the values were written with, so the archive also keeps
 * fields that only newer producers know.
 *
 * @param writer the values' schema, or null if the object has no decoded value
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
 * The Avro type of rows with this schema. Logical types stay plain numbers, as in the codec.
 * @throws Error for a schema that cannot be embedded (a union within the union, a name used twice)
 */
export function rowType(schema: AvroSchema): avsc.Type {
  return avsc.Type.forSchema(schema as avsc.Schema)
}
