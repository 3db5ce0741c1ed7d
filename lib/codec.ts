import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { LRUCache } from 'lru-cache'
import { isRetriable, messageOf, RetriableError } from './errors.ts'
import type { AvroSchema, Topic } from './topology.ts'
import { subjectOf } from './topology.ts'

/** Why a value could not be decoded; each is a dead-letter reason. */
export type UndecodableReason = 'no_value' | 'not_framed' | 'unknown_schema' | 'undecodable'

/** A value, or why there is none; the writer is null for topics without a schema. */
export type Decoded<V> =
  | { type: 'value'; value: V; writer: Writer | null }
  | { type: 'undecodable'; reason: UndecodableReason; message: string }

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
   * Decodes with the writer's schema; fields that it lacks are absent.
   * @throws RetriableError while the registry is away: nothing is said about the value then
   */
  decode<V>(bytes: Buffer | null): Promise<Decoded<V>>
}

interface AvroType {
  fromBuffer(bytes: Buffer): unknown
  schema(options: { exportAttrs: boolean }): unknown
}

interface Reader {
  type: AvroType
  writer: Writer
}

const headerBytes = 5
/** An id that the registry does not know may become known (a restored registry): asked again after this time. */
const unknownForMs = 5 * 60_000

/**
 * Avro over the schema registry. Schemas are immutable and kept for ever; unknown ids are kept as unknown for
 * five minutes, so that a flood of foreign records costs one lookup.
 *
 * @param url the registry's Confluent API, e.g. `http://host:8080/apis/ccompat/v7`
 */
export function openCodec(url: string): Codec {
  const registry = new SchemaRegistry(
    {
      host: url,
      retry: { retries: 2, initialRetryTimeInSecs: 0.1, maxRetryTimeInSecs: 1, factor: 0.2, multiplier: 2 },
    },
    {},
  )
  const readers = new Map<number, Reader>()
  const unknown = new LRUCache<number, true>({ max: 10_000, ttl: unknownForMs })
  const writerIds = new Map<string, number>()

  async function reader(id: number): Promise<Reader | null> {
    const known = readers.get(id)
    if (known) return known
    if (unknown.has(id)) return null
    try {
      const type = (await registry.getSchema(id)) as unknown as AvroType
      const found = { type, writer: { id, schema: type.schema({ exportAttrs: true }) as AvroSchema } }
      readers.set(id, found)
      return found
    } catch (error) {
      // No status: the registry answered with a schema that is not Avro, or none at all.
      const status = statusOf(error)
      if (status !== null && status !== 404) throw registryAway(error)
      unknown.set(id, true)
      return null
    }
  }

  async function writerId(topic: Topic): Promise<number> {
    const subject = subjectOf(topic)
    const known = writerIds.get(subject)
    if (known !== undefined) return known
    try {
      const id = await registry.getRegistryIdBySchema(subject, {
        type: SchemaType.AVRO,
        schema: JSON.stringify(topic.schema),
      })
      writerIds.set(subject, id)
      return id
    } catch (error) {
      if (isNotRegistered(error)) {
        throw new RetriableError(`The schema of ${subject} is not registered; run: npm run migrate`, {
          cause: error,
        })
      }
      throw registryAway(error)
    }
  }

  return {
    async encode(topic, value) {
      const id = await writerId(topic)
      return registry.encode(id, value).catch((error: unknown) => {
        throw statusOf(error) === null && !isRetriable(error) ? error : registryAway(error)
      })
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
      if (!found) {
        return {
          type: 'undecodable',
          reason: 'unknown_schema',
          message: `The registry does not know schema ${id}`,
        }
      }
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

function statusOf(error: unknown): number | null {
  return error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : null
}

function isNotRegistered(error: unknown): boolean {
  return error instanceof Error && (error.name === 'ConfluentSchemaRegistryError' || statusOf(error) === 404)
}

function registryAway(error: unknown): RetriableError {
  return new RetriableError(`The schema registry does not answer: ${messageOf(error)}`, { cause: error })
}
