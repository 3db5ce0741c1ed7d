import { pause } from './backoff.ts'
import { RetriableError } from './errors.ts'
import type { Registry, RegistryAnswer } from './registry.ts'
import { openRegistry } from './registry.ts'
import type { Topic } from './topology.ts'
import { schemaCompatibility, subjectOf } from './topology.ts'

const registeredWithinMs = 15_000
/** The registry's answer when two clients create the same thing at the same time. */
const conflict = 409

/**
 * Registers the schemas of topics that have one, and the compatibility that the registry enforces. Several processes
 * may run it at once: what another one registers meanwhile counts as done.
 *
 * @returns subjects whose schema was not registered before
 * @throws RetriableError when the registry is away; Error with the registry's message when it refuses a schema
 */
export async function registerSchemas(topics: readonly Topic[], registryUrl: string): Promise<string[]> {
  const registry = openRegistry(registryUrl)
  const fresh = await Promise.all(
    topics.map(async (topic) => {
      const subject = subjectOf(topic)
      const schema = topic.schema && JSON.stringify(topic.schema)
      if (schema === null) return []
      const isFresh = !(await isRegistered(registry, subject, schema))
      if (isFresh) await register(registry, subject, schema)
      await setCompatibility(registry, subject)
      return isFresh ? [subject] : []
    }),
  )
  return fresh.flat()
}

/** A conflict means an incompatible schema, or another process that registers the same: a lookup shows which. */
async function register(registry: Registry, subject: string, schema: string): Promise<void> {
  const answer = await registry.ask('POST', `/subjects/${subject}/versions`, { schema })
  if (answer.status === conflict && (await isRegistered(registry, subject, schema))) return
  expectOk(answer, subject)
  await untilRegistered(registry, subject, schema)
}

async function isRegistered(registry: Registry, subject: string, schema: string): Promise<boolean> {
  const answer = await registry.ask('POST', `/subjects/${subject}`, { schema })
  if (answer.status === 404) return false
  expectOk(answer, subject)
  return true
}

/** A registry may answer from an older state, and producers look up their schema as soon as this returns. */
async function untilRegistered(registry: Registry, subject: string, schema: string): Promise<void> {
  const begunAt = performance.now()
  while (!(await isRegistered(registry, subject, schema))) {
    if (performance.now() - begunAt > registeredWithinMs)
      throw new RetriableError(`${subject}: registered, but not found`)
    await pause(100)
  }
}

/** Of two processes that set it at once, one gets a conflict. Its next attempt finds the setting and changes it. */
async function setCompatibility(registry: Registry, subject: string): Promise<void> {
  const put = () => registry.ask('PUT', `/config/${subject}`, { compatibility: schemaCompatibility })
  const begunAt = performance.now()
  let answer = await put()
  while (answer.status === conflict && performance.now() - begunAt < registeredWithinMs) {
    await pause(100)
    answer = await put()
  }
  expectOk(answer, subject)
}

function expectOk({ status, text }: RegistryAnswer, subject: string): void {
  if (status >= 500) throw new RetriableError(`${subject}: HTTP ${status} ${text}`)
  if (status >= 300) throw new Error(`${subject}: HTTP ${status} ${text}`)
}
