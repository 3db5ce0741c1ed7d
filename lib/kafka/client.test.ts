import { constants, zstdCompressSync } from 'node:zlib'
import kafkajs from 'kafkajs'
import { describe, expect, test } from 'vitest'
import './client.ts'

const { CompressionCodecs, CompressionTypes } = kafkajs
const codec = (CompressionCodecs as Record<number, unknown>)[CompressionTypes.ZSTD] as () => {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>
  decompress(buffer: Buffer): Promise<Buffer>
}
const { compress, decompress } = codec()

/** Each form that a frame's size can have, their bounds, and more than is believed. */
const sizes = [0, 1, 2, 18, 255, 256, 257, 65_535, 65_791, 65_792, 1 << 20, (1 << 20) + 1, (16 << 20) + 1]
const textOf = (size: number) => Buffer.alloc(size, '{"track":{"name":"Song"},"played_at":"2026"}')

describe('zstd', () => {
  test.each(sizes)('%i bytes come back as they went', async (size) => {
    const text = textOf(size)
    expect((await decompress(await compress({ buffer: text }))).equals(text)).toBe(true)
  })

  test.each(sizes)('a frame of %i bytes that does not tell its size is read as well', async (size) => {
    const text = textOf(size)
    const params = { [constants.ZSTD_c_contentSizeFlag]: 0 }
    expect((await decompress(zstdCompressSync(text, { params }))).equals(text)).toBe(true)
  })

  test('what is no frame is an error', async () => {
    await expect(decompress(Buffer.alloc(0))).rejects.toThrow()
    await expect(decompress(Buffer.from('neither zstd nor anything else'))).rejects.toThrow()
    const frame = await compress({ buffer: textOf(100_000) })
    await expect(decompress(frame.subarray(0, frame.length - 9))).rejects.toThrow()
  })
})
