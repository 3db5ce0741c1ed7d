import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Codec } from '../../lib/codec.ts'
import { openCodec } from '../../lib/codec.ts'
import type { SpotifyResponse, Topic } from '../../lib/topology.ts'
import { subjectOf } from '../../lib/topology.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import type { S3Gate } from '../support/s3-faults.ts'
import { openS3Gate } from '../support/s3-faults.ts'
import { untilBack } from '../support/until.ts'

let stream: Stream
let gate: S3Gate
let topic: Topic<SpotifyResponse>
/** A new codec behind the gate. */
let codec: Codec
let requests: string[]

beforeAll(async () => {
  stream = await createStream()
  topic = stream.topology.recentlyPlayed
  gate = await openS3Gate(new URL(stream.config.registryUrl).origin)
})
beforeEach(() => {
  requests = []
  gate.onRequest = (method, path) => {
    requests.push(`${method} ${path}`)
    return null
  }
  codec = openGated()
})

/** A codec whose requests are recorded. */
function openGated(schemaUnknownAfterMs = 30_000): Codec {
  const registryUrl = gate.endpoint + new URL(stream.config.registryUrl).pathname
  return openCodec({ registryUrl, schemaUnknownAfterMs, registryAnswerWithinMs: 1_000 })
}

afterAll(async () => {
  await gate.close()
  await stream.release()
})

const page: SpotifyResponse = {
  endpoint: 'recently-played',
  subject: '7',
  source: 'poll',
  fetchedAt: 1_700_000_000_123,
  status: 200,
  body: Buffer.from('{"name":"\u{1F3B5}"}'),
}

/** Frames bytes with a schema id. */
function framed(id: number, binary: Buffer): Buffer {
  const header = Buffer.alloc(5)
  header.writeInt32BE(id, 1)
  return Buffer.concat([header, binary])
}

/** Registers a schema under a new subject; returns its id. */
async function register(
  schema: object | string,
  schemaType = 'AVRO',
  subject: string = crypto.randomUUID(),
  references: object[] = [],
): Promise<number> {
  const answer = await fetch(
    `${stream.config.registryUrl}/subjects/${stream.config.prefix}${subject}/versions`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({
        schemaType,
        references,
        schema: typeof schema === 'string' ? schema : JSON.stringify(schema),
      }),
    },
  )
  const { id } = (await answer.json()) as { id?: number }
  if (!id) throw new Error(`Not registered: ${answer.status}`)
  return id
}

test('a body is decoded in place, and no beginning of a value is taken for all of it', async () => {
  const bytes = await codec.encode(topic, page)
  const decoded = await codec.decode<SpotifyResponse>(bytes)
  expect(decoded.type === 'value' && decoded.value.body.buffer).toBe(bytes.buffer)
  for (let length = 5; length < bytes.length; length++) {
    expect(await codec.decode(bytes.subarray(0, length))).toMatchObject({ reason: 'undecodable' })
  }
})

test('what is encoded is decoded as it was, with the schema that it was written with', async () => {
  const bytes = await codec.encode(topic, page)
  expect(bytes[0]).toBe(0)
  const decoded = await codec.decode(bytes)
  expect(decoded).toMatchObject({ type: 'value', value: page, writer: { id: bytes.readInt32BE(1) } })
  const fields = topic.schema?.fields.map((f) => f.name)
  expect(decoded.type === 'value' && decoded.writer?.schema.fields.map((f) => f.name)).toEqual(fields)
})

test('schemas are asked for once, however many records there are', async () => {
  await Promise.all(
    Array.from({ length: 20 }, async () => codec.decode(await stream.codec.encode(topic, page))),
  )
  expect(requests.length).toBe(1)
  await codec.encode(topic, page)
  const asked = requests.length
  expect(asked).toBe(2)
  await Promise.all(Array.from({ length: 50 }, async () => codec.decode(await codec.encode(topic, page))))
  expect(requests.length).toBe(asked)
})

test('an unknown schema id is asked for and confirmed once, however many records carry it', async () => {
  codec = openGated(0)
  for (let i = 0; i < 20; i++) {
    expect(await codec.decode(framed(987_654, Buffer.from('x')))).toMatchObject({ reason: 'unknown_schema' })
  }
  expect(requests.length).toBe(2)
})

test('an id that is unknown for a moment is an outage, and decoded when the registry knows it', async () => {
  const bytes = await stream.codec.encode(topic, page)
  // Like a replica that is behind.
  gate.onRequest = () => ({ type: 'unknown-schema' })
  for (let i = 0; i < 3; i++) {
    await expect(codec.decode(bytes)).rejects.toMatchObject({
      name: 'UnknownSchemaError',
      retryAfterMs: 2_000,
    })
  }
  gate.onRequest = () => null
  expect(await codec.decode(bytes)).toMatchObject({ type: 'value', value: page })
})

test('an id that stays unknown for long enough is believed to be', async () => {
  codec = openGated(50)
  const bytes = framed(987_653, Buffer.from('x'))
  await expect(codec.decode(bytes)).rejects.toMatchObject({ name: 'UnknownSchemaError' })
  const believed = await untilBack(() => codec.decode(bytes), 'it is believed')
  expect(believed).toMatchObject({ type: 'undecodable', reason: 'unknown_schema' })
})

test.each([
  ['no value', null, 'no_value'],
  ['an empty value', Buffer.alloc(0), 'not_framed'],
  ['a value shorter than its frame', Buffer.from([0, 0, 0, 0]), 'not_framed'],
  ['text', Buffer.from('{"items":[]}'), 'not_framed'],
  ['a negative id', framed(-5, Buffer.from('x')), 'unknown_schema'],
])('%s is undecodable by its own reason', async (_, bytes, reason) => {
  expect(await codec.decode(bytes)).toMatchObject({ type: 'undecodable', reason })
})

test.each([
  ['cut short', (b: Buffer) => b.subarray(0, b.length - 1)],
  ['with a byte too many', (b: Buffer) => Buffer.concat([b, Buffer.from([0])])],
  ['without a value', (b: Buffer) => b.subarray(0, 5)],
  ['with another record inside', (b: Buffer) => Buffer.concat([b.subarray(0, 5), Buffer.alloc(40, 0xff)])],
])('bytes that do not fit their schema are undecodable: %s', async (_, damage) => {
  const bytes = damage(await codec.encode(topic, page))
  expect(await codec.decode(bytes)).toMatchObject({ type: 'undecodable', reason: 'undecodable' })
})

test.each([
  ['JSON', '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}'],
  ['PROTOBUF', 'syntax = "proto3"; message Page { string id = 1; }'],
])(
  'a schema of another kind (%s) makes a record undecodable, not the consumer crash',
  async (kind, schema) => {
    const id = await register(schema, kind)
    for (let i = 0; i < 3; i++) {
      expect(await codec.decode(framed(id, Buffer.from('{}')))).toMatchObject({ type: 'undecodable' })
    }
  },
)

test('a newer producer’s field is decoded, and one that an older producer lacked is absent', async () => {
  if (!topic.schema) throw new Error('The topic has no schema')
  const { fields } = topic.schema
  const newer = {
    ...topic.schema,
    fields: [...fields, { name: 'market', type: ['null', 'string'], default: null }],
  }
  const older = { ...topic.schema, fields: fields.filter((f) => f.name !== 'source') }
  const encode = async (schema: object, value: object) => {
    const name = `${stream.config.prefix}t-${crypto.randomUUID()}`
    await register(schema, 'AVRO', `${name.slice(stream.config.prefix.length)}-value`)
    return stream.codec.encode({ ...topic, name, schema } as Topic<object>, value)
  }
  expect(await codec.decode(await encode(newer, { ...page, market: 'SE' }))).toMatchObject({
    value: { ...page, market: 'SE' },
  })
  const { source, ...rest } = page
  const decoded = await codec.decode<SpotifyResponse>(await encode(older, rest))
  expect(decoded).toMatchObject({ type: 'value', value: rest })
  expect(decoded.type === 'value' && decoded.value.source).toBeUndefined()
  expect(source).toBe('poll')
})

test.each([
  ['503', { type: 'status', status: 503, code: 'x' }],
  ['500', { type: 'status', status: 500, code: 'x' }],
  ['429', { type: 'status', status: 429, code: 'x' }],
  ['401', { type: 'status', status: 401, code: 'x' }],
  ['a broken connection', { type: 'lost-answer' }],
  ['half an answer', { type: 'half-answer' }],
  ['the 404 of a proxy', { type: 'status', status: 404, code: 'x' }],
  ['a page of HTML', { type: 'status', status: 200, code: 'x' }],
] as const)(
  'a registry that answers by %s is away: nothing is said about the record, and it is asked again',
  async (_, fault) => {
    const bytes = await stream.codec.encode(topic, page)
    gate.onRequest = () => fault
    await expect(codec.decode(bytes)).rejects.toMatchObject({ name: 'RetriableError' })
    await expect(codec.encode(topic, page)).rejects.toMatchObject({ name: 'RetriableError' })
    gate.onRequest = () => null
    expect(await codec.decode(bytes)).toMatchObject({ type: 'value', value: page })
    expect(await codec.encode(topic, page)).toEqual(bytes)
  },
)

test('a registry that takes a request and never answers is away', async () => {
  gate.onRequest = () => ({ type: 'hang' })
  const bytes = await stream.codec.encode(topic, page)
  await expect(codec.decode(bytes)).rejects.toMatchObject({ name: 'RetriableError' })
})

test('a schema that refers to another subject’s is read with it', async () => {
  const album = {
    type: 'record',
    name: 'Album',
    namespace: 'catalogue',
    fields: [{ name: 'id', type: 'string' }],
  }
  const track = { type: 'record', name: 'Track', fields: [{ name: 'album', type: 'catalogue.Album' }] }
  const subject = `${stream.config.prefix}${crypto.randomUUID()}`
  await register(album, 'AVRO', subject.slice(stream.config.prefix.length))
  const id = await register(track, 'AVRO', crypto.randomUUID(), [
    { name: 'catalogue.Album', subject, version: 1 },
  ])
  expect(await codec.decode(framed(id, Buffer.from('\u0006abc')))).toMatchObject({
    type: 'value',
    value: { album: { id: 'abc' } },
  })
})

test('a registry that nobody serves is away', async () => {
  const nowhere = openCodec({ ...stream.config, registryUrl: 'http://127.0.0.1:1/apis/ccompat/v7' })
  const bytes = await stream.codec.encode(topic, page)
  await expect(nowhere.decode(bytes)).rejects.toMatchObject({ name: 'RetriableError' })
  await expect(nowhere.encode(topic, page)).rejects.toMatchObject({ name: 'RetriableError' })
})

test('schemas that were read once outlive the registry', async () => {
  const bytes = await codec.encode(topic, page)
  await codec.decode(bytes)
  gate.onRequest = () => ({ type: 'status', status: 503, code: 'x' })
  expect(await codec.encode(topic, page)).toEqual(bytes)
  expect(await codec.decode(bytes)).toMatchObject({ value: page })
})

test('a topic whose schema is not registered yet is worth another try, and says what to do', async () => {
  const unregistered = { ...topic, name: `${stream.config.prefix}t-${crypto.randomUUID()}` }
  await expect(codec.encode(unregistered, page)).rejects.toMatchObject({
    name: 'RetriableError',
    message: expect.stringContaining(`${subjectOf(unregistered)} is not registered; run: npm run migrate`),
  })
})

test('a value that does not fit the schema is a bug of ours, not an outage', async () => {
  const wrong = { ...page, status: 'ok' } as unknown as SpotifyResponse
  await expect(codec.encode(topic, wrong)).rejects.not.toMatchObject({ name: 'RetriableError' })
})
