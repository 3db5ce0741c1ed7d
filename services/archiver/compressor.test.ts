import { randomFillSync } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { zstdOptions } from '../../lib/archive/container.ts'
import { compressBlock } from './compressor.ts'

/** Blocks of all sizes around those of chunks; half of each cannot be compressed. */
const block = fc
  .integer({ min: 1, max: 1 << 20 })
  .map((size) => Buffer.concat([randomFillSync(Buffer.alloc(size)), Buffer.alloc(size, 'a page')]))

test('many at a time, each block becomes the frame that it would become alone', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(block, { minLength: 1, maxLength: 8 }), async (blocks) => {
      const frames = await Promise.all(blocks.map(compressBlock))
      for (const [i, bytes] of blocks.entries()) {
        const frame = frames[i] ?? Buffer.alloc(0)
        expect(zstdDecompressSync(frame).equals(bytes)).toBe(true)
        // Equal to one that was told its size, so it says its size.
        const alone = zstdCompressSync(bytes, { ...zstdOptions, pledgedSrcSize: bytes.length })
        expect(frame.equals(alone)).toBe(true)
      }
    }),
    { numRuns: 20 },
  )
})
