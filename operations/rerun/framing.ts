import avsc from 'avsc'
import type { Registry } from '../../lib/registry.ts'
import { openRegistry, unexpected } from '../../lib/registry.ts'
import type { AvroSchema } from '../../lib/topology.ts'
import { subjectOf } from '../../lib/topology.ts'
import { OperatorFault } from '../fault.ts'
import type { Broker } from '../operator.ts'
import { resolveTopic } from './archive-plan.ts'
import type { Row } from './archive-rows.ts'

/** Makes the bytes of rows of several topics. */
export function rowFraming({ client, topology }: Broker, topics: readonly string[]): Framing['toBytes'] {
  const framings = new Map(
    topics.map((topic) => {
      return [topic, openFraming(client.config.registryUrl, subjectOf(resolveTopic(topic, topology)))]
    }),
  )
  return async (row, schema) => (await framings.get(row.topic)?.toBytes(row, schema)) ?? null
}

/** Makes the bytes of a row's value as they lay in the topic: schema id and Avro binary. */
export interface Framing {
  /** @param schema of the object that holds the row */
  toBytes(row: Row, schema: AvroSchema): Promise<Buffer | null>
}

interface Writer {
  /** A zero byte and the schema's id. */
  head: Buffer
  type: avsc.Type
}

/**
 * The archive keeps the writer's schema without its id and its comments. The id is that of the subject's version with
 * the same schema, comments aside.
 *
 * @param registryUrl the Confluent API
 */
export function openFraming(registryUrl: string, subject: string): Framing {
  const registry = openRegistry(registryUrl)
  const writers = new Map<string, Promise<Writer>>()
  return {
    async toBytes(row, schema) {
      if (row.value === null) return row.raw
      const own = valueSchema(schema)
      const key = JSON.stringify(own)
      const known = writers.get(key) ?? findWriter(registry, subject, own)
      writers.set(key, known)
      // A lookup that failed may succeed for the next row.
      known.catch(() => writers.delete(key))
      const { head, type } = await known
      return Buffer.concat([head, type.toBuffer(row.value)])
    },
  }
}

/** The schema of the values, out of the schema of the rows. */
function valueSchema(schema: AvroSchema): AvroSchema {
  const union = schema.fields.find((f) => f.name === 'value')?.type
  const own = Array.isArray(union) ? union.find((t) => typeof t === 'object' && t !== null) : null
  if (!own) throw new Error('The object has values but no schema for them')
  return own
}

async function findWriter(registry: Registry, subject: string, own: AvroSchema): Promise<Writer> {
  const type = avsc.Type.forSchema(own as avsc.Schema)
  const wanted = toForm(own)
  const versions = (await read(registry, `/subjects/${subject}/versions`)) as number[] | null
  for (const version of (versions ?? []).toReversed()) {
    const found = (await read(registry, `/subjects/${subject}/versions/${version}`)) as {
      id: number
      schema: string
    } | null
    if (!found || toForm(JSON.parse(found.schema)) !== wanted) continue
    const head = Buffer.alloc(5)
    head.writeInt32BE(found.id, 1)
    return { head, type }
  }
  throw new OperatorFault(
    `The registry has no version of ${subject} that these values were written with`,
    'npm run migrate registers the present one; an older one is in the header of the object: register it first.',
  )
}

/** The schema without comments, in a canonical form. */
function toForm(schema: object): string {
  return JSON.stringify(avsc.Type.forSchema(schema as avsc.Schema).schema({ exportAttrs: true }))
}

/** @returns null for 404 */
async function read(registry: Registry, path: string): Promise<unknown> {
  const answer = await registry.ask('GET', path)
  if (answer.status === 404) return null
  if (answer.status !== 200 || answer.json === null) throw unexpected(answer)
  return answer.json
}
