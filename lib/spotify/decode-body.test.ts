import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { codingsOf, decodeBody } from './decode-body.ts'

const text = Buffer.from('{"items":[]}')
const packed = (coding: string, body: Buffer) => ({
  status: 200,
  headers: { 'content-encoding': coding },
  body,
})

test.each([
  ['gzip', gzipSync(text)],
  ['GZIP', gzipSync(text)],
  ['deflate', deflateSync(text)],
  ['br', brotliCompressSync(text)],
  ['zstd', zstdCompressSync(text)],
  ['gzip, br', brotliCompressSync(gzipSync(text))],
  ['identity', text],
])('a body that a proxy has packed as %s is the one that was packed', async (coding, body) => {
  const answer = await decodeBody(packed(coding, body), 1_000)
  expect(answer.body.equals(text)).toBe(true)
  expect(codingsOf(answer)).toEqual([])
})

test.each([
  ['an unknown coding', packed('exotic', text)],
  ['a body that is not what it says', packed('gzip', text)],
  ['a body that breaks off', packed('gzip', gzipSync(text).subarray(0, 12))],
  ['a body that is too large unpacked', packed('gzip', gzipSync(Buffer.alloc(5_000)))],
  ['a name that every object has', packed('constructor', text)],
])('%s stays as it is, and says so', async (_what, answer) => {
  expect(await decodeBody(answer, 1_000)).toEqual(answer)
  expect(codingsOf(answer)).toHaveLength(1)
})
