import { randomFillSync } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compress, decompress, free } from './zstd.ts'

/** Blocks of all sizes around those of chunks; half of each cannot be compressed. */
const block = fc
  .integer({ min: 1, max: 1 << 20 })
  .map((size) => Buffer.concat([randomFillSync(Buffer.alloc(size)), Buffer.alloc(size, 'a page')]))

/** Each form of a frame's size field, at its bounds, and a size above one chunk. */
const sizes = [0, 1, 2, 18, 255, 256, 257, 65_535, 65_791, 65_792, 1 << 20, (1 << 20) + 1, (16 << 20) + 1]
const textOf = (size: number) => Buffer.alloc(size, '{"track":{"name":"Song"},"played_at":"2026"}')
const unsized = { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } }

/** Magic number, descriptor, and the size in as many bytes as it takes (RFC 8878, 3.1.1). */
const headLength = (size: number) => 5 + (size < 256 ? 1 : size < 65_536 + 256 ? 2 : 4)

test('many at a time, each block becomes a frame that says its size, and the block again', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(block, { minLength: 1, maxLength: 8 }), async (blocks) => {
      const frames = await Promise.all(blocks.map(compress))
      const again = await Promise.all(frames.map(decompress))
      for (const [i, bytes] of blocks.entries()) {
        const frame = frames[i] ?? Buffer.alloc(0)
        expect(again[i]?.equals(bytes)).toBe(true)
        expect(zstdDecompressSync(frame).equals(bytes)).toBe(true)
        // The same header as with a pledged size, so it holds the size.
        const told = zstdCompressSync(bytes, { pledgedSrcSize: bytes.length })
        const head = headLength(bytes.length)
        expect(frame.subarray(0, head).equals(told.subarray(0, head))).toBe(true)
      }
    }),
    { numRuns: 20 },
  )
})

test.each(sizes)('%i bytes come back as they went', async (size) => {
  const text = textOf(size)
  expect((await decompress(await compress(text))).equals(text)).toBe(true)
})

test.each(sizes)('a frame of %i bytes that does not tell its size is read as well', async (size) => {
  const text = textOf(size)
  expect((await decompress(zstdCompressSync(text, unsized))).equals(text)).toBe(true)
})

describe('several frames', () => {
  const texts = [100_000, 3, 2_000_000].map(textOf)

  test('are all read, where zlib reads the first and is silent about the others', async () => {
    const frames = Buffer.concat(texts.map((text) => zstdCompressSync(text, { pledgedSrcSize: text.length })))
    expect((await decompress(frames)).equals(Buffer.concat(texts))).toBe(true)
  })

  test('are all read when none tells its size', async () => {
    const frames = Buffer.concat(texts.map((text) => zstdCompressSync(text, unsized)))
    expect((await decompress(frames)).equals(Buffer.concat(texts))).toBe(true)
  })
})

describe('what is no frame is an error, and harms no other', () => {
  const text = textOf(100_000)
  const frame = zstdCompressSync(text, { pledgedSrcSize: text.length })
  const spoilt = Buffer.from(frame)
  spoilt.fill(0xff, 12, 24)

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('neither zstd nor anything else')],
    ['a frame cut short', frame.subarray(0, frame.length - 9)],
    ['a frame cut short that does not tell its size', zstdCompressSync(text, unsized).subarray(0, -9)],
    ['a frame with spoilt bytes', spoilt],
    ['a frame with text behind it', Buffer.concat([frame, Buffer.from('neither zstd nor anything else')])],
    ['a frame with half a frame behind it', Buffer.concat([frame, frame.subarray(0, frame.length - 9)])],
  ])('%s', async (_name, bytes) => {
    const neighbours = () => [decompress(frame), decompress(frame), decompress(frame)]
    const [bad, ...good] = await Promise.allSettled([decompress(bytes), ...neighbours()])
    expect(bad?.status).toBe('rejected')
    const later = await Promise.allSettled(neighbours())
    for (const result of [...good, ...later]) {
      expect(result.status === 'fulfilled' && result.value.equals(text)).toBe(true)
    }
  })
})

describe('memory that is freed', () => {
  test('is that of one frame: what lies in it is empty afterwards, and nothing else is', async () => {
    const texts = [100_000, 100_000, 2_000_000].map(textOf)
    const frames = await Promise.all(texts.map(compress))
    const [first, ...others] = await Promise.all(frames.map(decompress))
    const part = first?.subarray(500, 600)
    if (first) free(first.buffer)
    expect(first).toHaveLength(0)
    expect(part).toHaveLength(0)
    expect(others.map((bytes, i) => texts[i + 1]?.equals(bytes))).toEqual([true, true])
    if (first) free(first.buffer)
    const again = await decompress(frames[0] ?? Buffer.alloc(0))
    expect(texts[0]?.equals(again)).toBe(true)
  })

  test.each([100, 4_000, 9_000, 65_000])('is not what may be shared: %i bytes', async (size) => {
    const text = textOf(size)
    const bytes = await decompress(await compress(text))
    free(bytes.buffer)
    expect(text.equals(bytes)).toBe(true)
  })

  test('is never memory of others', () => {
    const foreign = Buffer.alloc(1 << 20, 'a')
    free(foreign.buffer)
    expect(foreign).toHaveLength(1 << 20)
  })
})
