import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { S3 } from '../../lib/s3.ts'
import { openTestS3 } from '../support/archive.ts'
import type { S3Gate } from '../support/s3-faults.ts'
import { cutListing, openS3Gate } from '../support/s3-faults.ts'
import type { World } from '../support/world.ts'
import { createWorld } from '../support/world.ts'

let world: World
let s3: S3
let gate: S3Gate
let gated: S3

beforeAll(async () => {
  world = await createWorld()
  gate = await openS3Gate(world.env.S3_ENDPOINT ?? '')
  s3 = openTestS3(world.env)
  gated = openTestS3({ ...world.env, S3_ENDPOINT: gate.endpoint })
})
afterAll(async () => {
  await s3.close()
  await gated.close()
  await gate.close()
  await world.release()
})

const put = (key: string, body: string, store = s3, md5 = createHash('md5').update(body).digest('base64')) =>
  store.putIfAbsent({
    key: `${world.env.S3_PREFIX}/${key}`,
    open: () => Readable.from([Buffer.from(body)], { objectMode: false }),
    length: Buffer.byteLength(body),
    md5,
    contentType: 'text/plain',
    metadata: { 'first-offset': '1' },
  })

const path = (key: string) => `${world.env.S3_PREFIX}/${key}`

async function all(keys: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = []
  for await (const key of keys) found.push(key)
  return found
}

test('an object is put once and never overwritten', async () => {
  expect(await put('once', 'first')).toBe('put')
  expect(await put('once', 'second')).toBe('exists')
  expect(await text(await s3.get(path('once')))).toBe('first')
  expect(await s3.head(path('once'))).toEqual({ length: 5, metadata: { 'first-offset': '1' } })
})

test('of many puts of one key at a time exactly one wins', async () => {
  const bodies = Array.from({ length: 8 }, (_, i) => `body ${i}`)
  const results = await Promise.all(
    bodies.map((body) => put('race', body).catch((error: Error) => error.name)),
  )
  expect(results.filter((r) => r === 'put').length).toBe(1)
  expect(await text(await s3.get(path('race')))).toBe(bodies[results.indexOf('put')])
})

test('bytes that were damaged on their way are refused, and it is worth another try', async () => {
  const wrong = createHash('md5').update('other').digest('base64')
  await expect(put('damaged', 'body', s3, wrong)).rejects.toMatchObject({ name: 'RetriableError' })
  expect(await s3.head(path('damaged'))).toBeNull()
})

test('lists run over any number of pages, in order, after a key, and by folder', {
  timeout: 120_000,
}, async () => {
  const names = Array.from({ length: 1100 }, (_, i) => `many/f${i % 3}/${String(i).padStart(6, '0')}`).sort()
  for (let at = 0; at < names.length; at += 20) {
    await Promise.all(names.slice(at, at + 20).map((name) => put(name, 'x')))
  }
  expect(await all(s3.list(path('many/')))).toEqual(names.map(path))
  expect(await all(s3.list(path('many/'), path(names[1050] ?? '')))).toEqual(names.slice(1051).map(path))
  expect(await all(s3.folders(path('many/')))).toEqual(['f0', 'f1', 'f2'].map((f) => path(`many/${f}/`)))
  expect(await all(s3.list(path('none/')))).toEqual([])
})

test('a key that is not there is null for head, and named by get', async () => {
  expect(await s3.head(path('nothing'))).toBeNull()
  await expect(s3.get(path('nothing'))).rejects.toMatchObject({ name: 'NoSuchKey' })
  await s3.delete(path('nothing'))
})

test.each([
  ['a wrong secret', { AWS_SECRET_ACCESS_KEY: 'wrong' }],
  ['a bucket that is not there', { S3_BUCKET: 'no-such-bucket' }],
  ['a server that is not there', { S3_ENDPOINT: 'http://127.0.0.1:1' }],
])('%s is an outage that somebody will mend, for every request', async (_, change) => {
  const broken = openTestS3({ ...world.env, ...change })
  const outage = { name: 'RetriableError' }
  await expect(put('broken', 'x', broken)).rejects.toMatchObject(outage)
  await expect(all(broken.list(path('')))).rejects.toMatchObject(outage)
  await expect(broken.get(path('once'))).rejects.toMatchObject(outage)
  await broken.close()
})

test.each([
  ['503', { type: 'status', status: 503, code: 'SlowDown' }],
  ['429', { type: 'status', status: 429, code: 'TooManyRequests' }],
  ['409', { type: 'status', status: 409, code: 'ConditionalRequestConflict' }],
  ['an expired token', { type: 'status', status: 400, code: 'ExpiredToken' }],
  ['a broken connection', { type: 'lost-answer' }],
] as const)('%s is an outage', async (_, fault) => {
  gate.onRequest = () => fault
  await expect(put('fault', 'x', gated)).rejects.toMatchObject({ name: 'RetriableError' })
  await expect(gated.head(path('fault'))).rejects.toMatchObject({ name: 'RetriableError' })
  gate.onRequest = () => null
})

test('a refusal that nobody has foreseen is an outage', async () => {
  gate.onRequest = () => ({ type: 'status', status: 400, code: 'InvalidArgument' })
  await expect(put('nonsense', 'x', gated)).rejects.toMatchObject({ name: 'RetriableError' })
  gate.onRequest = () => null
})

test('a store that says that its listing goes on, and gives no token, is listed to the end', async () => {
  const names = ['a/1', 'a/2', 'a/3', 'a\u{ffee}/4', 'b/5', 'c/6'].map((name) => `cut/${name}`)
  for (const name of names) await put(name, 'x')
  gate.onRequest = (method, url) =>
    method === 'GET' && url.includes('list-type=2')
      ? { type: 'rewrite', body: (xml) => cutListing(xml, 2) }
      : null
  expect(await all(gated.list(path('cut/')))).toEqual(names.map(path))
  expect(await all(gated.list(path('cut/'), path('cut/a/2')))).toEqual(names.slice(2).map(path))
  const folders = ['a', 'a\u{ffee}', 'b', 'c'].map((name) => path(`cut/${name}/`))
  expect(await all(gated.folders(path('cut/')))).toEqual(folders)
})

test('a listing that would go round in circles is an outage, not the whole', async () => {
  await put('circle/1', 'x')
  gate.onRequest = () => ({
    type: 'rewrite',
    body: (xml) => xml.replace('<IsTruncated>false', '<IsTruncated>true'),
  })
  await expect(all(gated.list(path('circle/')))).rejects.toMatchObject({ name: 'RetriableError' })
})
