import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import avsc from 'avsc'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readArchive } from '../../lib/archive/read.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import type { Decoded } from '../../lib/codec.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import type { AvroSchema } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import type { SealedObject } from './object-builder.ts'
import { ObjectBuilder } from './object-builder.ts'
import { RowFormats, toRow } from './row-format.ts'

const { recentlyPlayed } = topology()
const topic = recentlyPlayed.name
const schema = recentlyPlayed.schema as AvroSchema
const ours = writerOf(1, schema)
let spoolDir: string

beforeAll(async () => {
  spoolDir = await mkdtemp(join(tmpdir(), 'archiver-'))
})
afterAll(() => rm(spoolDir, { recursive: true }))

function writerOf(id: number, writerSchema: unknown) {
  const type = avsc.Type.forSchema(writerSchema as avsc.Schema)
  const writer = { id, schema: type.schema({ exportAttrs: true }) as AvroSchema }
  const decode = (bytes: Buffer): Decoded<unknown> => ({
    type: 'value',
    value: type.fromBuffer(bytes.subarray(5)),
    writer,
  })
  const frame = (binary: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, 0, id]), binary])
  return { decode, frame, encode: (value: unknown) => frame(type.toBuffer(value)) }
}

function record(offset: number, bytes: Buffer | null, decoded?: Decoded<unknown>): DecodedRecord<unknown> {
  return {
    topic,
    partition: 3,
    offset,
    timestamp: 1_700_000_000_000 + offset,
    key: offset % 3 === 0 ? null : Buffer.from(`user ${offset}`),
    headers: offset % 2 === 0 ? [] : [{ name: 'redrive.group', value: Buffer.from([0xff, offset % 256]) }],
    bytes,
    decoded: decoded ?? { type: 'undecodable', reason: 'not_framed', message: '' },
  }
}

const page = (body: Buffer, extra = {}) => ({
  endpoint: 'recently-played',
  subject: '7',
  source: 'poll',
  fetchedAt: 1_700_000_000_000,
  status: 200,
  body,
  ...extra,
})

const decodable = (offset: number, body: Buffer) => {
  const bytes = ours.encode(page(body))
  return record(offset, bytes, ours.decode(bytes))
}

async function build(
  records: DecodedRecord<unknown>[],
  options = {},
): Promise<SealedObject & { builder: ObjectBuilder }> {
  const formats = new RowFormats([recentlyPlayed])
  const [first] = records
  if (!first) throw new Error('no records')
  const builder = new ObjectBuilder({
    first,
    fallback: formats.ofTopic(topic),
    spoolDir,
    objectBytes: 64 << 20,
    ...options,
  })
  for (const r of records) {
    const row = toRow(r, formats)
    expect(builder.fits(row.format)).toBe(true)
    builder.append(row)
    if (builder.blockFull) await builder.spoolBlock().catch(() => undefined)
  }
  return { ...(await builder.seal()), builder }
}

async function readRows(bytes: Buffer, chunkBytes = 4096): Promise<ArchivedRecord[]> {
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
  }
  const rows: ArchivedRecord[] = []
  for await (const row of (await readArchive(chunks())).rows) rows.push(row)
  return rows
}

/** Bytes that zstd cannot shrink, the same at every run. */
function noise(seed: number, size: number): Buffer {
  const parts = Array.from({ length: Math.ceil(size / 64) }, (_, i) =>
    createHash('sha512').update(`${seed}/${i}`).digest(),
  )
  return Buffer.concat(parts).subarray(0, size)
}

test('every record comes back as it was: offset, time, key, headers and value', async () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 5000 }), { minLength: 1, maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(bodies, fc.integer({ min: 1, max: 100_000 }), async (list, objectBytes) => {
      const records = list.map((body, i) => decodable(i * 2, Buffer.from(body)))
      const sealed = await build(records, { objectBytes })
      const rows = await readRows(await buffer(sealed.open()), 777)
      expect(
        rows.map(({ value, raw, ...rest }) => ({ ...rest, headers: rest.headers.map((h) => ({ ...h })) })),
      ).toEqual(records.map(({ bytes, decoded, ...rest }) => rest))
      rows.forEach((row, i) => {
        expect(row.raw).toBeNull()
        expect(ours.encode(row.value)).toEqual(records[i]?.bytes)
      })
      await sealed.close()
    }),
    { numRuns: 40 },
  )
})

test('a value that cannot be encoded is archived as raw bytes, and its neighbours as they are', async () => {
  const [before, after] = [decodable(0, Buffer.from('{}')), decodable(2, Buffer.from('[]'))]
  const odd = decodable(1, Buffer.from('"x"'))
  // The decoded value does not match its schema.
  const records = [before, { ...odd, decoded: { ...odd.decoded, value: { endpoint: 7 } } }, after]
  const sealed = await build(records as DecodedRecord<unknown>[])
  const rows = await readRows(await buffer(sealed.open()))
  expect(rows.map((row) => [row.offset, row.value === null])).toEqual([
    [0, false],
    [1, true],
    [2, false],
  ])
  expect(rows[1]?.raw).toEqual(odd.bytes)
  await sealed.close()
})

test('an object larger than memory may hold is spooled, and its length and MD5 are those of its bytes', async () => {
  const records = Array.from({ length: 40 }, (_, i) => decodable(i, noise(i, 100_000)))
  const sealed = await build(records)
  const bytes = await buffer(sealed.open())
  expect(bytes.length).toBeGreaterThan(3_900_000)
  expect(sealed.length).toBe(bytes.length)
  expect(sealed.md5).toBe(createHash('md5').update(bytes).digest('base64'))
  expect((await buffer(sealed.open())).equals(bytes)).toBe(true)
  expect((await readRows(bytes)).map((r) => r.offset)).toEqual(records.map((r) => r.offset))
  await sealed.close()
})

test('a disk that takes nothing makes the object full, and it is whole all the same', async () => {
  const records = Array.from({ length: 30 }, (_, i) => decodable(i, noise(i, 100_000)))
  const formats = new RowFormats([recentlyPlayed])
  const builder = new ObjectBuilder({
    first: records[0] as DecodedRecord<unknown>,
    fallback: formats.ofTopic(topic),
    spoolDir: join(spoolDir, 'does-not-exist'),
    objectBytes: 64 << 20,
  })
  let taken = 0
  while (!builder.full) {
    builder.append(toRow(records[taken++] as DecodedRecord<unknown>, formats))
    if (builder.blockFull) await expect(builder.spoolBlock()).rejects.toThrow('ENOENT')
  }
  const sealed = await builder.seal()
  const bytes = await buffer(sealed.open())
  expect(sealed.md5).toBe(createHash('md5').update(bytes).digest('base64'))
  expect((await readRows(bytes)).map((r) => r.offset)).toEqual(records.slice(0, taken).map((r) => r.offset))
})

test('every zstd frame says how large its content is', async () => {
  const bytes = await buffer((await build([decodable(0, noise(1, 300)), decodable(1, noise(2, 300))])).open())
  const frame = bytes.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))
  expect((bytes[frame + 4] ?? 0) >> 6).toBeGreaterThan(0)
})

test('the same records give the same bytes', async () => {
  const records = Array.from({ length: 20 }, (_, i) => decodable(i, noise(i % 3, 90_000)))
  const [a, b] = [await build(records), await build(records)]
  expect((await buffer(a.open())).equals(await buffer(b.open()))).toBe(true)
  await Promise.all([a.close(), b.close()])
})

test('what cannot be decoded is archived as the bytes that it is, tombstones as nothing, beside decoded values', async () => {
  const junk = Buffer.from('no schema id here')
  const records = [
    record(0, junk),
    record(1, null),
    decodable(2, Buffer.from('{}')),
    record(3, Buffer.alloc(0)),
  ]
  const rows = await readRows(await buffer((await build(records)).open()))
  expect(rows.map((r) => r.raw)).toEqual([junk, null, null, Buffer.alloc(0)])
  expect(rows.map((r) => r.value !== null)).toEqual([false, false, true, false])
})

test('an object of nothing but undecodable records opens like every other', async () => {
  const rows = await readRows(await buffer((await build([record(5, Buffer.from('x'))])).open()))
  expect(rows).toMatchObject([{ offset: 5, value: null, raw: Buffer.from('x') }])
})

test('text that is no UTF-8 would not survive as a value: the record is archived raw', async () => {
  const good = ours.encode(page(Buffer.from('{}')))
  const bad = Buffer.from(good)
  bad[good.indexOf('poll')] = 0xff
  const rows = await readRows(await buffer((await build([record(0, bad, ours.decode(bad))])).open()))
  expect(rows).toMatchObject([{ value: null, raw: bad }])
})

test('an unusual encoding of a number is archived raw, not mended', async () => {
  const good = ours.encode(page(Buffer.from('{}')))
  const at = good.length - 3 - 2
  const status = Buffer.from([0x90, 0x83, 0x00])
  const bad = Buffer.concat([good.subarray(0, at), status, good.subarray(at + 2)])
  expect(ours.decode(bad)).toMatchObject({ value: { status: 200 } })
  const rows = await readRows(await buffer((await build([record(0, bad, ours.decode(bad))])).open()))
  expect(rows).toMatchObject([{ value: null, raw: bad }])
})

test('a field that only a newer producer knows is archived, in an object of its own', async () => {
  const newer = writerOf(2, {
    ...schema,
    fields: [...schema.fields, { name: 'market', type: ['null', 'string'], default: null }],
  })
  const bytes = newer.encode(page(Buffer.from('{}'), { market: 'SE' }))
  const formats = new RowFormats([recentlyPlayed])
  const row = toRow(record(8, bytes, newer.decode(bytes)), formats)
  const { builder } = await build([decodable(7, Buffer.from('{}'))])
  expect(builder.fits(row.format)).toBe(false)
  const rows = await readRows(await buffer((await build([record(8, bytes, newer.decode(bytes))])).open()))
  expect(rows[0]?.value).toMatchObject({ market: 'SE' })
})

test.each([
  ['a union', ['null', 'string'], { string: 'x' }],
  ['the rows’ own name', { type: 'record', name: 'ArchivedRecord', fields: [] }, {}],
])('a schema that no object can embed is archived raw: %s', async (_, foreignSchema, value) => {
  const foreign = writerOf(3, foreignSchema)
  const bytes = foreign.encode(typeof value === 'object' && 'string' in value ? value.string : value)
  const rows = await readRows(await buffer((await build([record(0, bytes, foreign.decode(bytes))])).open()))
  expect(rows).toMatchObject([{ value: null, raw: bytes }])
})

test('damage is told, wherever the bytes end or change', async () => {
  const bytes = await buffer(
    (await build([decodable(0, noise(1, 3000)), decodable(1, noise(2, 3000))])).open(),
  )
  for (let length = 0; length < bytes.length; length += 97) {
    await expect(readRows(bytes.subarray(0, length))).rejects.toThrow(/^It (ends|does not begin)/)
  }
  const flipped = Buffer.from(bytes)
  flipped[bytes.length - 1] = (flipped.at(-1) ?? 0) ^ 1
  await expect(readRows(flipped)).rejects.toThrow('sync marker')
})
