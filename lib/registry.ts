import avsc from 'avsc'
import { request } from 'undici'
import { z } from 'zod'
import type { Server } from './errors.ts'
import { calling, messageOf, RetriableError } from './errors.ts'
import { withDeadline } from './time-limit.ts'
import type { AvroSchema } from './topology.ts'

const defaultAnswerWithinMs = 10_000

/** What a registry says of a schema id: the schema, or why it cannot be used. */
export type Lookup =
  | { type: 'found'; schema: AvroSchema }
  | { type: 'unreadable'; reason: string }
  /** A replica that is behind says so too, of a schema that was registered a moment ago. */
  | { type: 'unknown'; reason: string }

/** An answer of the registry, whatever its status. */
export interface RegistryAnswer {
  status: number
  text: string
  /** null if the text is no JSON. */
  json: unknown
}

/** A Confluent schema registry; every method throws a RetriableError while it is away. */
export interface Registry {
  lookUp(id: number): Promise<Lookup>
  /** Id of a schema under a subject. @throws RetriableError also when it is not registered there yet */
  idOf(subject: string, schema: object): Promise<number>
  /** Any request. @param path below the root of the Confluent API: `/subjects` */
  ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<RegistryAnswer>
}

/** A registered schema. The registry may hold JSON Schema and Protobuf as well. */
const entry = z.object({
  schema: z.string(),
  schemaType: z.string().default('AVRO'),
  references: z.array(z.object({ subject: z.string(), version: z.int() })).nullish(),
})

type Entry = z.infer<typeof entry>

/** @param url the Confluent API, e.g. `http://host:8080/apis/ccompat/v7` */
export function openRegistry(url: string, answerWithinMs = defaultAnswerWithinMs): Registry {
  const { host, username, password } = new URL(url)
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)
  const headers = {
    'content-type': 'application/vnd.schemaregistry.v1+json',
    ...(username && { authorization: `Basic ${login.toString('base64')}` }),
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

  return {
    ask,
    lookUp: (id) => calling(server, () => lookUp(ask, id)),
    idOf: (subject, schema) => calling(server, () => idOf(ask, subject, schema)),
  }
}

/**
 * Records are dead-lettered for a schema that is unknown or unreadable. In an outage others may answer in place of the
 * registry (a proxy, with a 404 or a page of HTML): only JSON of its own form is believed.
 *
 * @throws RetriableError for everything else
 */
async function lookUp(ask: Registry['ask'], id: number): Promise<Lookup> {
  const answer = await ask('GET', `/schemas/ids/${id}`)
  if (answer.status === 404 && typeof fieldOf(answer.json, 'error_code') === 'number') {
    return { type: 'unknown', reason: `The registry does not know schema ${id}` }
  }
  const found = toEntry(answer)
  if (found.schemaType !== 'AVRO') return { type: 'unreadable', reason: `Schema ${id} is not Avro` }
  try {
    return { type: 'found', schema: await toSchema(ask, found) }
  } catch (error) {
    if (error instanceof RetriableError) throw error
    return { type: 'unreadable', reason: `Schema ${id} cannot be read: ${messageOf(error)}` }
  }
}

async function idOf(ask: Registry['ask'], subject: string, schema: object): Promise<number> {
  const answer = await ask('POST', `/subjects/${subject}`, { schema: JSON.stringify(schema) })
  if (answer.status === 404) {
    throw new RetriableError(`The schema of ${subject} is not registered; run: npm run migrate`)
  }
  const id = fieldOf(answer.json, 'id')
  if (answer.status !== 200 || typeof id !== 'number') throw unexpected(answer)
  return id
}

/** @throws RetriableError when it is none */
function toEntry(answer: RegistryAnswer): Entry {
  const { data } = entry.safeParse(answer.json)
  if (answer.status !== 200 || !data) throw unexpected(answer)
  return data
}

/** A schema with those of other subjects that it refers to, as one. */
async function toSchema(ask: Registry['ask'], own: Entry): Promise<AvroSchema> {
  const types: Record<string, avsc.Type> = {}
  const seen = new Set<string>()
  async function add({ schema, references }: Entry): Promise<avsc.Type> {
    for (const { subject, version } of references ?? []) {
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`
      if (seen.has(path)) continue
      seen.add(path)
      await add(toEntry(await ask('GET', path)))
    }
    return avsc.Type.forSchema(JSON.parse(schema), { registry: types })
  }
  return (await add(own)).schema({ exportAttrs: true }) as AvroSchema
}

/** For an answer that is not what was asked for. */
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
