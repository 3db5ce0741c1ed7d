import type { ZstdCompress } from 'node:zlib'
import { constants, createZstdCompress } from 'node:zlib'
import pLimit from 'p-limit'
import { zstdOptions } from '../../lib/archive/container.ts'

/** As many as pay on two cores; each has 2 MB of memory. */
const atOnce = 2
const inTurn = pLimit(atOnce)
const idle: ZstdCompress[] = []

/**
 * Compresses a block into one zstd frame that says how large its content is: some readers refuse others.
 *
 * Compressors are kept: what zstd sets up for each costs half as much as compressing a block. The same bytes give
 * the same frame, whatever a compressor has done before.
 */
export function compressBlock(bytes: Buffer): Promise<Buffer> {
  return inTurn(async () => {
    // Each write is a frame of its own; as it is whole at once, zstd knows its size.
    const zstd = idle.pop() ?? createZstdCompress({ ...zstdOptions, flush: constants.ZSTD_e_end })
    const frame = await writeFrame(zstd, bytes)
    idle.push(zstd)
    return frame
  })
}

function writeFrame(zstd: ZstdCompress, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    const onData = (part: Buffer) => parts.push(part)
    const settle = (error?: Error | null) => {
      // Reading hands what is still buffered to onData.
      while (!error && zstd.read() !== null);
      zstd.off('data', onData).off('error', settle)
      if (error) reject(error)
      else resolve(Buffer.concat(parts))
    }
    zstd.on('data', onData).on('error', settle)
    zstd.write(bytes, settle)
  })
}
