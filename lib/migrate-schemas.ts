import { pause } from './backoff.ts'
import { RetriableError } from './errors.ts'
import type { Registry, RegistryAnswer } from './registry.ts'
import { openRegistry } from './registry.ts'
import type { Topic } from './topology.ts'
import { schemaCompatibility, subjectOf } from './topology.ts'

const registeredWithinMs = 15_000
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

/** A conflict is another process that registers the same, or an incompatible schema: the registry knows which. */
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

/** A registry may answer from an earlier state; producers look their schema up as soon as this returns. */
async function untilRegistered(registry: Registry, subject: string, schema: string): Promise<void> {
  const begunAt = performance.now()
  while (!(await isRegistered(registry, subject, schema))) {
    if (performance.now() - begunAt > registeredWithinMs)
      throw new RetriableError(`${subject}: registered, but not found`)
    await pause(100)
  }
}

/** Two who set it at once: one is refused with "exists already". Setting it once more finds it and changes it. */
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
