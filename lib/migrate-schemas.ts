import { request } from 'undici'
import { pause } from './backoff.ts'
import { RetriableError } from './errors.ts'
import type { Topic } from './topology.ts'
import { schemaCompatibility, subjectOf } from './topology.ts'

const registeredWithinMs = 15_000
const answerWithinMs = 15_000
/** The registry's answer to a second one who makes the same thing at the same time. */
const conflict = 409

/**
 * Registers the schemas of topics that have one, and the compatibility that the registry enforces. Safe by several
 * at once: what another process registers meanwhile counts as done.
 *
 * @returns subjects whose schema was not registered before
 * @throws RetriableError when the registry is away; Error when it refuses a schema, in its words
 */
export async function registerSchemas(topics: readonly Topic[], registryUrl: string): Promise<string[]> {
  const fresh = await Promise.all(
    topics.map(async (topic) => {
      const subject = subjectOf(topic)
      const schema = topic.schema && JSON.stringify(topic.schema)
      if (schema === null) return []
      const isFresh = !(await isRegistered(registryUrl, subject, schema))
      if (isFresh) await register(registryUrl, subject, schema)
      await setCompatibility(registryUrl, subject)
      return isFresh ? [subject] : []
    }),
  )
  return fresh.flat()
}

/** A conflict is another process that registers the same, or an incompatible schema: the registry knows which. */
async function register(registryUrl: string, subject: string, schema: string): Promise<void> {
  const answer = await registryCall(registryUrl, 'POST', `/subjects/${subject}/versions`, { schema })
  if (answer.status === conflict && (await isRegistered(registryUrl, subject, schema))) return
  expectOk(answer, subject)
  await untilRegistered(registryUrl, subject, schema)
}

async function isRegistered(registryUrl: string, subject: string, schema: string): Promise<boolean> {
  const answer = await registryCall(registryUrl, 'POST', `/subjects/${subject}`, { schema })
  if (answer.status === 404) return false
  expectOk(answer, subject)
  return true
}

/** A registry may answer from an earlier state; producers look their schema up as soon as this returns. */
async function untilRegistered(registryUrl: string, subject: string, schema: string): Promise<void> {
  const begunAt = performance.now()
  while (!(await isRegistered(registryUrl, subject, schema))) {
    if (performance.now() - begunAt > registeredWithinMs)
      throw new RetriableError(`${subject}: registered, but not found`)
    await pause(100)
  }
}

/** Two who set it at once: one is refused with "exists already". Setting it once more finds it and changes it. */
async function setCompatibility(registryUrl: string, subject: string): Promise<void> {
  const put = () =>
    registryCall(registryUrl, 'PUT', `/config/${subject}`, { compatibility: schemaCompatibility })
  const begunAt = performance.now()
  let answer = await put()
  while (answer.status === conflict && performance.now() - begunAt < registeredWithinMs) {
    await pause(100)
    answer = await put()
  }
  expectOk(answer, subject)
}

interface RegistryAnswer {
  status: number
  body: string
}

/** @throws RetriableError when there is no answer */
async function registryCall(
  base: string,
  method: 'POST' | 'PUT',
  path: string,
  body: unknown,
): Promise<RegistryAnswer> {
  try {
    const response = await request(`${base}${path}`, {
      method,
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify(body),
      headersTimeout: answerWithinMs,
      bodyTimeout: answerWithinMs,
    })
    return { status: response.statusCode, body: await response.body.text() }
  } catch (cause) {
    throw new RetriableError(`${base} does not answer`, { cause })
  }
}

function expectOk({ status, body }: RegistryAnswer, subject: string): void {
  if (status >= 500) throw new RetriableError(`${subject}: HTTP ${status} ${body}`)
  if (status >= 300) throw new Error(`${subject}: HTTP ${status} ${body}`)
}
