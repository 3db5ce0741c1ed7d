import { request } from 'undici'
import { messageOf, RetriableError } from './errors.ts'

/** A schema as the registry keeps it. */
export interface RegisteredSchema {
  /** `AVRO`, `JSON` or `PROTOBUF`. */
  type: string
  text: string
  /** Texts of the schemas that it refers to, each after those that it needs itself. */
  references: string[]
}

/**
 * A Confluent schema registry. Every method throws a RetriableError unless the registry itself answered: an
 * outage may look like a page of HTML, a proxy's 404, half an answer or none, and says nothing about a schema.
 */
export interface Registry {
  /** null: the registry does not know the id. */
  schemaById(id: number): Promise<RegisteredSchema | null>
  /** Id of a schema under a subject; null: it is not registered there. */
  idOf(subject: string, schema: unknown): Promise<number | null>
}

const contentType = 'application/vnd.schemaregistry.v1+json'
const answerWithinMs = 10_000

/** What the registry answers with; https://docs.confluent.io/platform/current/schema-registry/develop/api.html */
interface Answer {
  id?: number
  schema?: string
  schemaType?: string
  references?: { subject: string; version: number }[]
  error_code?: number
}

/** @param url the Confluent API, e.g. `http://host:8080/apis/ccompat/v7` */
export function openRegistry(url: string): Registry {
  async function call(path: string, body?: unknown): Promise<Answer | null> {
    try {
      const answer = await request(`${url}${path}`, {
        method: body ? 'POST' : 'GET',
        headers: { accept: contentType, ...(body ? { 'content-type': contentType } : {}) },
        body: body ? JSON.stringify(body) : null,
        signal: AbortSignal.timeout(answerWithinMs),
      })
      return toAnswer(answer.statusCode, await answer.body.text())
    } catch (cause) {
      throw new RetriableError(`The schema registry does not answer: ${messageOf(cause)}`, { cause })
    }
  }

  async function references(of: Answer): Promise<string[]> {
    const texts: string[] = []
    for (const { subject, version } of of.references ?? []) {
      const found = await call(`/subjects/${encodeURIComponent(subject)}/versions/${version}`)
      if (found?.schema) texts.push(...(await references(found)), found.schema)
    }
    return texts
  }

  return {
    async schemaById(id) {
      const found = await call(`/schemas/ids/${id}`)
      if (!found) return null
      if (typeof found.schema !== 'string') {
        throw new RetriableError(`The schema registry answers without a schema for id ${id}`)
      }
      return { type: found.schemaType ?? 'AVRO', text: found.schema, references: await references(found) }
    },
    async idOf(subject, schema) {
      const found = await call(`/subjects/${encodeURIComponent(subject)}`, { schema: JSON.stringify(schema) })
      return found?.id ?? null
    },
  }
}

/** null: the registry's own "not found". @throws Error for whatever is no answer of a registry */
function toAnswer(status: number, text: string): Answer | null {
  const answer: Answer | null = JSON.parse(text)
  if (status === 200 && answer !== null && typeof answer === 'object') return answer
  if (status === 404 && typeof answer?.error_code === 'number') return null
  throw new Error(`HTTP ${status} ${text.slice(0, 200)}`)
}
