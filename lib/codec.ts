import avsc from 'avsc'
import { LRUCache } from 'lru-cache'
import type { KafkaConfig } from './config.ts'
import { messageOf, overRecords, RetriableError } from './errors.ts'
import type { Lookup } from './registry.ts'
import { openRegistry } from './registry.ts'
import type { AvroSchema, Topic } from './topology.ts'
import { subjectOf } from './topology.ts'

/** Why a value could not be decoded; each is a dead-letter reason. */
export type UndecodableReason = 'no_value' | 'not_framed' | 'unknown_schema' | 'undecodable'

/** A value, or why it could not be decoded; the writer is null for topics without a schema. */
export type Decoded<V> =
  | { type: 'value'; value: V; writer: Writer | null }
  | { type: 'undecodable'; reason: UndecodableReason; message: string }

/** The registry does not know a schema yet: ask it again. */
export class UnknownSchemaError extends RetriableError {
  constructor(reason: string) {
    super(reason, { retryAfterMs: askAgainMs })
    this.name = 'UnknownSchemaError'
  }
}

/** The schema that a value was written with. */
export interface Writer {
  /** The registry's id. */
  id: number
  schema: AvroSchema
}

export interface Codec {
  /** Confluent wire format: a zero byte, the schema's id (4 bytes), Avro binary. */
  encode<V>(topic: Topic<V>, value: V): Promise<Buffer>
  /**
   * Decodes with the writer's schema; fields that it lacks are absent. Fields of type `bytes` are views of the
   * value's bytes, not copies.
   * @throws RetriableError while the registry is away: whether the value can be decoded is then not known
   * @throws UnknownSchemaError while the registry may still learn of the schema
   */
  decode<V>(bytes: Buffer | null): Promise<Decoded<V>>
}

interface Reader {
  type: avsc.Type
  writer: Writer
}

const headerBytes = 5
const nothing = Buffer.alloc(0)

/** The parts of avsc's internal reader that are used here; its types leave them out. */
interface Tap {
  buf: Buffer
  pos: number
  readLong(): number
}

/** Reads bytes in place. avsc itself allocates, zero-fills and copies for each value: 100 kB for a page. */
class BytesInPlace extends avsc.types.BytesType {
  _read(tap: Tap): Buffer {
    const length = tap.readLong()
    const start = tap.pos
    // avsc takes a position past the end as the sign of a truncated value.
    tap.pos = length < 0 ? tap.buf.length + 1 : start + length
    return tap.buf.subarray(start, tap.pos)
  }
}

/**
 * Encodes a value in Confluent wire format. Computes the size first, so that it allocates once; the registry's client
 * would copy a page twice more.
 *
 * @throws when the value does not fit the schema: a bug in songswap
 */
function frame(id: number, type: avsc.Type, value: unknown): Buffer {
  const missingBytes = -type.encode(value, nothing, 0)
  const bytes = Buffer.allocUnsafe(headerBytes + missingBytes)
  bytes[0] = 0
  bytes.writeInt32BE(id, 1)
  type.encode(value, bytes, headerBytes)
  return bytes
}

function viewBytes(schema: unknown): avsc.Type | undefined {
  return schema === 'bytes' ? new BytesInPlace() : undefined
}
const askAgainMs = 2_000
/** A registry that is restored may know an id later: ask again after this time. */
const unknownForMs = 5 * 60_000

export interface CodecConfig extends Pick<KafkaConfig, 'registryUrl' | 'schemaUnknownAfterMs'> {
  /** Default: ten seconds. */
  registryAnswerWithinMs?: number
}

/**
 * Encodes and decodes Avro by the schema registry. Schemas are immutable and cached for the life of the process. A
 * replica of the registry may be behind, so an unknown id is looked up again until `schemaUnknownAfterMs` have passed.
 * After that it counts as unknown for five minutes, so that a flood of foreign records costs few lookups.
 */
export function openCodec(config: CodecConfig): Codec {
  const registry = openRegistry(config.registryUrl, config.registryAnswerWithinMs)
  const readers = new Map<number, Reader>()
  /** Why an id has no reader. */
  const unreadable = new LRUCache<number, string>({ max: 10_000, ttl: unknownForMs })
  /** When the registry first said that it does not know an id. */
  const unknownSince = new LRUCache<number, number>({ max: 10_000 })
  const lookups = new Map<number, Promise<Lookup>>()
  const writerIds = new Map<string, number>()

  /** A reader, or why there is none. Concurrent callers for the same id share one lookup. */
  async function reader(id: number): Promise<Reader | string> {
    const known = readers.get(id) ?? unreadable.get(id)
    if (known !== undefined) return known
    const lookup = lookups.get(id) ?? registry.lookUp(id).finally(() => lookups.delete(id))
    lookups.set(id, lookup)
    const found = await lookup
    // Ids begin at 1: any other is unknown on every replica, now and later.
    if (found.type === 'unknown' && id > 0) awaitSchema(id, found.reason)
    if (found.type !== 'found') {
      unreadable.set(id, found.reason)
      return found.reason
    }
    unknownSince.delete(id)
    const { schema } = found
    const type = avsc.Type.forSchema(schema as avsc.Schema, { typeHook: viewBytes })
    const fresh = { type, writer: { id, schema } }
    readers.set(id, fresh)
    return fresh
  }

  /** @throws UnknownSchemaError until the id has been unknown for `schemaUnknownAfterMs` */
  function awaitSchema(id: number, reason: string): void {
    const now = performance.now()
    const since = unknownSince.get(id) ?? now
    unknownSince.set(id, since)
    if (now - since < config.schemaUnknownAfterMs) throw new UnknownSchemaError(reason)
  }

  async function writerId(topic: Topic): Promise<number> {
    const subject = subjectOf(topic)
    const id = writerIds.get(subject) ?? (await registry.idOf(subject, topic.schema ?? {}))
    writerIds.set(subject, id)
    return id
  }

  return {
    async encode(topic, value) {
      const id = await writerId(topic)
      const found = await reader(id)
      if (typeof found === 'string') throw new RetriableError(`The schema of ${topic.name}: ${found}`)
      return overRecords(() => frame(id, found.type, value))
    },

    async decode<V>(bytes: Buffer | null): Promise<Decoded<V>> {
      if (bytes === null)
        return { type: 'undecodable', reason: 'no_value', message: 'The record has no value' }
      if (bytes.length < headerBytes || bytes[0] !== 0) {
        return {
          type: 'undecodable',
          reason: 'not_framed',
          message: 'The value does not begin with a schema id',
        }
      }
      const id = bytes.readInt32BE(1)
      const found = await reader(id)
      if (typeof found === 'string') return { type: 'undecodable', reason: 'unknown_schema', message: found }
      try {
        return {
          type: 'value',
          value: found.type.fromBuffer(bytes.subarray(headerBytes)) as V,
          writer: found.writer,
        }
      } catch (error) {
        return { type: 'undecodable', reason: 'undecodable', message: `Schema ${id}: ${messageOf(error)}` }
      }
    },
  }
}
