import { kafkaEnv, parseEnv } from '../../lib/config.ts'
import type { Registry } from '../../lib/registry.ts'
import { fieldOf, openRegistry, unexpected } from '../../lib/registry.ts'
import { findInRegistry } from '../../lib/server-settings/read.ts'
import type { AvroSchema } from '../../lib/topology.ts'
import { allTopics, schemaCompatibility, subjectOf, topology } from '../../lib/topology.ts'
import { describe } from '../fault.ts'
import type { Check } from './check.ts'
import type { Finding } from './report.ts'
import { noteSettings } from './settings.ts'

const migrate = 'npm run migrate brings it back; safe at any time.'

export const registryCheck: Check = {
  name: 'registry',
  looksAt: "subjects with the code's schemas, their compatibility, and that it is enforced",
  withinMs: 12_000,
  hint: 'Is the registry running, and is SCHEMA_REGISTRY_URL right (with /apis/ccompat/v7)?',
  async run({ env }, notes) {
    const shape = { SCHEMA_REGISTRY_URL: kafkaEnv.SCHEMA_REGISTRY_URL, KAFKA_PREFIX: kafkaEnv.KAFKA_PREFIX }
    const { SCHEMA_REGISTRY_URL: url, KAFKA_PREFIX: prefix } = parseEnv(shape, env)
    const registry = openRegistry(url)
    const { status, json } = await registry.ask('GET', '/subjects')
    if (status !== 200 || !Array.isArray(json)) {
      notes.fail('reachable', `${url} answers ${status}, and no list of subjects`, registryCheck.hint)
      return
    }
    notes.ok('reachable', url)
    await noteSettings(notes, 'mode', () => findInRegistry(url))
    const registered = allTopics(topology(prefix)).flatMap((topic) =>
      topic.schema ? [{ subject: subjectOf(topic), schema: topic.schema }] : [],
    )
    const findings = await Promise.all(
      registered.map((one) =>
        judgeSubject(registry, one).catch((error): Finding[] => [
          { state: 'fail', subject: one.subject, text: describe(error), hint: registryCheck.hint },
        ]),
      ),
    )
    for (const finding of findings.flat()) notes.add(finding)
  },
}

/** @returns one `ok` if the subject is right @throws RetriableError for an unexpected answer */
async function judgeSubject(
  registry: Registry,
  { subject, schema }: { subject: string; schema: AvroSchema },
): Promise<Finding[]> {
  const fail = (text: string, hint: string): Finding => ({ state: 'fail', subject, text, hint })
  const known = await registry.ask('POST', `/subjects/${subject}`, toBody(schema))
  if (known.status !== 200 && known.status !== 404) throw unexpected(known)
  const isMissing = known.status === 404 && fieldOf(known.json, 'error_code') !== schemaNotFound
  if (isMissing) return [fail('it is not registered', 'npm run migrate registers it.')]

  const level = await readLevel(registry, subject)
  const findings: Finding[] = []
  if (known.status === 404) {
    findings.push(fail("it does not hold this version's schema", 'npm run migrate registers it.'))
  }
  if (level !== schemaCompatibility && level !== 'FULL_TRANSITIVE') {
    findings.push(fail(`compatibility is ${level} in place of ${schemaCompatibility}`, migrate))
  }
  if (await wouldTake(registry, subject, toIncompatible(schema))) {
    findings.push(fail('it would take a schema that cannot read what was written before', migrate))
  }
  const text = `registered, ${level}, refuses what is incompatible`
  return findings.length > 0 ? findings : [{ state: 'ok', subject, text, hint: null }]
}

/** Error code of the Confluent API. */
const schemaNotFound = 40403

/** The compatibility level of the subject, or the global one if it has none. */
async function readLevel(registry: Registry, subject: string): Promise<string> {
  const own = await registry.ask('GET', `/config/${subject}`)
  const answer = own.status === 404 ? await registry.ask('GET', '/config') : own
  const level = fieldOf(answer.json, 'compatibilityLevel')
  if (answer.status !== 200 || typeof level !== 'string') throw unexpected(answer)
  return level
}

/** Tests the schema's compatibility; does not register it. */
async function wouldTake(registry: Registry, subject: string, schema: object): Promise<boolean> {
  const path = `/compatibility/subjects/${subject}/versions/latest`
  const answer = await registry.ask('POST', path, toBody(schema))
  const isCompatible = fieldOf(answer.json, 'is_compatible')
  if (answer.status !== 200 || typeof isCompatible !== 'boolean') throw unexpected(answer)
  return isCompatible
}

/** Adds a field without a default: a reader with this schema cannot read older records. */
function toIncompatible(schema: AvroSchema): object {
  return { ...schema, fields: [...schema.fields, { name: 'probe_of_doctor', type: 'string' }] }
}

function toBody(schema: object): object {
  return { schema: JSON.stringify(schema) }
}
