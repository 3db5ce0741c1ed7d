import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import type avsc from 'avsc'
import { request } from 'undici'
import type { Server } from './errors.ts'
import { calling, messageOf, RetriableError } from './errors.ts'
import { late, within } from './time-limit.ts'
import type { AvroSchema } from './topology.ts'

const answerWithinMs = 10_000

/** What a registry says of a schema id: the schema, or why it cannot be used. */
export type Lookup =
  | { type: 'found'; schema: AvroSchema }
  | { type: 'unreadable'; reason: string }
  /** A replica that is behind says so too, of a schema that was registered a moment ago. */
  | { type: 'unknown'; reason: string }

/** A Confluent schema registry; every method throws a RetriableError while it is away. */
export interface Registry {
  lookUp(id: number): Promise<Lookup>
  /** Id of a schema under a subject. @throws RetriableError also when it is not registered there yet */
  idOf(subject: string, schema: object): Promise<number>
}

/** @param url the Confluent API, e.g. `http://host:8080/apis/ccompat/v7` */
export function openRegistry(url: string): Registry {
  // Retries belong to the callers, whose partitions pause meanwhile.
  const connect = () => new SchemaRegistry({ host: url, retry: { retries: 0 } })
  let client = connect()

  /**
   * The library waits for ever for the rest of half an answer, and lets all who ask for the same id wait with
   * it: so every call has its limit, and after a late one the client is replaced.
   */
  async function bounded<T>(call: (client: SchemaRegistry) => Promise<T>): Promise<T> {
    const answer = await within(answerWithinMs, call(client))
    if (answer !== late) return answer
    client = connect()
    throw away(new Error(`nothing within ${answerWithinMs / 1000} s`))
  }

  const server: Server = { name: 'schema-registry', probe: () => expectAnswer(url) }

  return {
    lookUp: (id) => calling(server, () => lookUp(id)),
    idOf: (subject, schema) => calling(server, () => idOf(subject, schema)),
  }

  async function lookUp(id: number): Promise<Lookup> {
    try {
      const type: object = await bounded((c) => c.getSchema(id))
      if (isAvro(type)) return { type: 'found', schema: type.schema({ exportAttrs: true }) as AvroSchema }
      return { type: 'unreadable', reason: `Schema ${id} is not Avro` }
    } catch (error) {
      if (error instanceof RetriableError) throw error
      return confirmUnreadable(url, id, error)
    }
  }

  async function idOf(subject: string, schema: object): Promise<number> {
    const avro = { type: SchemaType.AVRO, schema: JSON.stringify(schema) } as SubjectSchema
    const id: unknown = await bounded((c) => c.getRegistryIdBySchema(subject, avro)).catch((error) => {
      if (error instanceof RetriableError) throw error
      if (error instanceof Error && error.name === 'ConfluentSchemaRegistryError') {
        throw new RetriableError(`The schema of ${subject} is not registered; run: npm run migrate`)
      }
      throw away(error)
    })
    if (typeof id !== 'number') throw away(new Error(`it answers without an id for ${subject}`))
    return id
  }
}

type SubjectSchema = Parameters<SchemaRegistry['getRegistryIdBySchema']>[1]

/** The registry may hold JSON Schema and Protobuf as well. */
function isAvro(schema: object): schema is avsc.Type {
  return 'schema' in schema && typeof schema.schema === 'function'
}

/**
 * Asks once more before a schema is taken for unknown or unreadable, since records will be dead-lettered for it.
 * The library cannot tell the registry's "not found" from what else may answer in an outage: a page of HTML, a
 * proxy's 404, half an answer. Only JSON of the registry's own form is believed.
 *
 * @throws RetriableError for everything else
 */
async function confirmUnreadable(url: string, id: number, error: unknown): Promise<Lookup> {
  const answer = await request(`${url}/schemas/ids/${id}`, { signal: AbortSignal.timeout(answerWithinMs) })
    .then(async ({ statusCode, body }) => ({ statusCode, json: JSON.parse(await body.text()) }))
    .catch((cause) => {
      throw away(cause)
    })
  if (answer.statusCode === 404 && typeof answer.json?.error_code === 'number') {
    return { type: 'unknown', reason: `The registry does not know schema ${id}` }
  }
  const wasAnswered = !(error instanceof Error && 'status' in error)
  if (answer.statusCode === 200 && typeof answer.json?.schema === 'string' && wasAnswered) {
    return { type: 'unreadable', reason: `Schema ${id} cannot be read: ${messageOf(error)}` }
  }
  throw away(error)
}

/** @throws when the registry does not answer, or says that it cannot. */
async function expectAnswer(url: string): Promise<void> {
  const { statusCode, body } = await request(`${url}/config`, { signal: AbortSignal.timeout(answerWithinMs) })
  await body.dump()
  if (statusCode >= 500) throw away(new Error(`HTTP ${statusCode}`))
}

function away(cause: unknown): RetriableError {
  return new RetriableError(`The schema registry does not answer: ${messageOf(cause)}`, { cause })
}
