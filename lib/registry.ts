import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import type avsc from 'avsc'
import { request } from 'undici'
import type { Server } from './errors.ts'
import { calling, messageOf, RetriableError } from './errors.ts'
import { late, withDeadline, within } from './time-limit.ts'
import type { AvroSchema } from './topology.ts'

const defaultAnswerWithinMs = 10_000

/** A schema by its id, or why it cannot be used. */
export type Lookup =
  | { type: 'found'; schema: AvroSchema }
  | { type: 'unreadable'; reason: string }
  /** Also the answer of a replica that is behind, for a schema that was just registered. */
  | { type: 'unknown'; reason: string }

/** An answer of the registry, with any status. */
export interface RegistryAnswer {
  status: number
  text: string
  /** Null if the text is not JSON. */
  json: unknown
}

/** A Confluent schema registry; every method throws a RetriableError while it is away. */
export interface Registry {
  lookUp(id: number): Promise<Lookup>
  /** Id of a schema under a subject. @throws RetriableError also when it is not registered there yet */
  idOf(subject: string, schema: object): Promise<number>
  /** Sends any request. @param path below the root of the Confluent API, e.g. `/subjects` */
  ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<RegistryAnswer>
}

/** @param url the Confluent API, e.g. `http://host:8080/apis/ccompat/v7` */
export function openRegistry(url: string, answerWithinMs = defaultAnswerWithinMs): Registry {
  const { host, username, password } = new URL(url)
  const auth = username && { username: decodeURIComponent(username), password: decodeURIComponent(password) }
  const login = auth && Buffer.from(`${auth.username}:${auth.password}`).toString('base64')
  const headers = {
    'content-type': 'application/vnd.schemaregistry.v1+json',
    ...(login && { authorization: `Basic ${login}` }),
  }
  const server: Server = {
    name: 'schema-registry',
    probe: async () => {
      const answer = await ask('GET', '/config')
      if (answer.status >= 500) throw unexpected(answer)
    },
  }
  const ask: Registry['ask'] = (method, path, body) =>
    calling(server, async () => {
      try {
        return await withDeadline(answerWithinMs, async (signal) => {
          const options = { method, headers, body: body ? JSON.stringify(body) : null, signal }
          const answer = await request(`${url}${path}`, options)
          const text = await answer.body.text()
          return { status: answer.statusCode, text, json: toJson(text) }
        })
      } catch (cause) {
        const text = `The schema registry at ${host} does not answer: ${messageOf(cause)}`
        throw new RetriableError(text, { cause })
      }
    })

  // The callers retry, and pause their partitions meanwhile.
  const connect = () =>
    new SchemaRegistry({
      host: toAddress(url),
      retry: { retries: 0 },
      ...(auth && { auth }),
    })
  let client = connect()

  /**
   * If an answer breaks off, the library waits forever, and so do all later callers for the same id. So each call has a
   * limit, and a late one replaces the client.
   */
  const bounded: Bounded = async (call) => {
    const result = await within(answerWithinMs, call(client))
    if (result !== late) return result
    client = connect()
    throw new RetriableError(
      `The schema registry at ${host} does not answer: nothing within ${answerWithinMs / 1000} s`,
    )
  }

  return {
    ask,
    lookUp: (id) => calling(server, () => lookUp({ bounded, ask }, id)),
    idOf: (subject, schema) => calling(server, () => idOf(bounded, subject, schema)),
  }
}

/** The address without the login, which the library takes separately. */
function toAddress(url: string): string {
  const address = new URL(url)
  address.username = ''
  address.password = ''
  return address.href.replace(/\/$/, '')
}

type Bounded = <T>(call: (client: SchemaRegistry) => Promise<T>) => Promise<T>

interface Client {
  bounded: Bounded
  ask: Registry['ask']
}

async function lookUp({ bounded, ask }: Client, id: number): Promise<Lookup> {
  try {
    const type: object = await bounded((client) => client.getSchema(id))
    if (isAvro(type)) return { type: 'found', schema: type.schema({ exportAttrs: true }) as AvroSchema }
    return { type: 'unreadable', reason: `Schema ${id} is not Avro` }
  } catch (error) {
    if (error instanceof RetriableError) throw error
    return confirmUnreadable(ask, id, error)
  }
}

/** The registry may hold JSON Schema and Protobuf as well. */
function isAvro(schema: object): schema is avsc.Type {
  return 'schema' in schema && typeof schema.schema === 'function'
}

/**
 * Asks once more before a schema counts as unknown or unreadable, because its records then become dead letters. In an
 * outage other answers can come (a proxy's 404, a page of HTML, half an answer), which the library does not distinguish
 * from the registry's "not found". Here only JSON in the registry's own form counts.
 *
 * @throws RetriableError for any other answer
 */
async function confirmUnreadable(ask: Registry['ask'], id: number, error: unknown): Promise<Lookup> {
  const answer = await ask('GET', `/schemas/ids/${id}`)
  if (answer.status === 404 && typeof fieldOf(answer.json, 'error_code') === 'number') {
    return { type: 'unknown', reason: `The registry does not know schema ${id}` }
  }
  const wasAnswered = !(error instanceof Error && 'status' in error)
  if (answer.status === 200 && typeof fieldOf(answer.json, 'schema') === 'string' && wasAnswered) {
    return { type: 'unreadable', reason: `Schema ${id} cannot be read: ${messageOf(error)}` }
  }
  throw unexpected(answer)
}

async function idOf(bounded: Bounded, subject: string, schema: object): Promise<number> {
  const avro = { type: SchemaType.AVRO, schema: JSON.stringify(schema) } as SubjectSchema
  const id: unknown = await bounded((client) => client.getRegistryIdBySchema(subject, avro)).catch(
    (error) => {
      if (error instanceof RetriableError) throw error
      if (error instanceof Error && error.name === 'ConfluentSchemaRegistryError') {
        throw new RetriableError(`The schema of ${subject} is not registered; run: npm run migrate`)
      }
      throw new RetriableError(`The schema registry does not answer: ${messageOf(error)}`, { cause: error })
    },
  )
  if (typeof id !== 'number') {
    throw new RetriableError(`The schema registry answers without an id for ${subject}`)
  }
  return id
}

type SubjectSchema = Parameters<SchemaRegistry['getRegistryIdBySchema']>[1]

/** The error for an unexpected answer. */
export function unexpected({ status, json }: RegistryAnswer): RetriableError {
  const message = fieldOf(json, 'message')
  const words = typeof message === 'string' ? ` ${message}` : ''
  return new RetriableError(`The schema registry answers ${status}${words}`)
}

export function fieldOf(json: unknown, name: string): unknown {
  return typeof json === 'object' && json !== null ? Reflect.get(json, name) : undefined
}

function toJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
