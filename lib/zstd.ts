import type { Zlib, ZstdCompress, ZstdOptions } from 'node:zlib'
import { constants, createZstdCompress, zstdDecompress } from 'node:zlib'
import pLimit from 'p-limit'

/** As many as pay on two cores; each compressor has 2 MB of memory. */
const atOnce = 2
const compressing = pLimit(atOnce)
const idle: ZstdCompress[] = []

const compressOptions: ZstdOptions = {
  // Most blocks of the archive fit one chunk; Node's default of 16 KiB costs more CPU than parsing a page.
  chunkSize: 256 << 10,
  // Level 3: smaller than gzip 1 by 2.6 times for a sixth more CPU on pages.
  params: { [constants.ZSTD_c_compressionLevel]: 3 },
  // Each write is a frame of its own; as it is whole at once, zstd knows its size.
  flush: constants.ZSTD_e_end,
}

/** A frame is believed to be so large, and room made for all of it at once. */
const maxTrustedSize = 16 << 20
/** For what comes out of a frame that does not tell its size. */
const unsizedChunk = 1 << 20

/**
 * Compresses into one zstd frame that says how large its content is: some readers refuse others. Nearly always the same
 * bytes give the same frame; zstd promises it only for a compressor that has compressed nothing before.
 *
 * Compressors are kept. What zstd sets up for each costs half as much as compressing a block of 1 MiB, and what Node
 * makes for each keeps buffers until V8 collects the whole heap.
 */
export function compress(bytes: Buffer): Promise<Buffer> {
  return compressing(async () => {
    const zstd = idle.pop() ?? createZstdCompress(compressOptions)
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

/**
 * Decompresses all the frames that the bytes consist of; zlib reads the first and is silent about the others.
 *
 * @throws when they are damaged, cut short or no frames
 */
export async function decompress(bytes: Buffer): Promise<Buffer> {
  const first = await readFrame(bytes)
  if (first.used === bytes.length) return first.content
  const contents = [first.content]
  for (let at = first.used; at < bytes.length; ) {
    const { content, used } = await readFrame(bytes.subarray(at))
    contents.push(content)
    at += used
  }
  return Buffer.concat(contents)
}

/** Memory that holds what came out of one frame and nothing else. */
const lent = new WeakSet<ArrayBufferLike>()
/** Below this size Node may put several buffers into one piece of memory. */
const lentFrom = 64 << 10

/**
 * Frees memory that {@link decompress} made; any other stays as it is. Whoever looks into it later finds nothing.
 *
 * Left to V8, what has lived through two quick collections is found by one of the whole heap only, and V8 begins one
 * for every 64 MB of such memory.
 */
export function free(memory: ArrayBufferLike): void {
  if (lent.delete(memory) && memory instanceof ArrayBuffer) memory.transfer(0)
}

interface Frame {
  content: Buffer
  /** Bytes of the frame; what comes after them is the next one. */
  used: number
}

function readFrame(bytes: Buffer): Promise<Frame> {
  const size = contentSize(bytes)
  // One byte more, or a second chunk would be made for the nothing that follows.
  const chunkSize = size !== null && size <= maxTrustedSize ? Math.max(size + 1, 64) : unsizedChunk
  return new Promise((resolve, reject) => {
    zstdDecompress(bytes, { chunkSize, info: true }, (error, result) => {
      if (error) return reject(error)
      // Node's types do not tell of `info`.
      const { buffer: content, engine } = result as unknown as { buffer: Buffer; engine: Zlib }
      const { buffer } = content
      if (buffer.byteLength === chunkSize && chunkSize >= lentFrom) lent.add(buffer)
      resolve({ content, used: engine.bytesWritten })
    })
  })
}

/** Bytes that a zstd frame says will come out of it (RFC 8878, 3.1.1); null when it does not say. */
function contentSize(frame: Buffer): number | null {
  const descriptor = frame[4]
  if (descriptor === undefined || frame.length < 18) return null
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0
  const at = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes
  switch (descriptor >> 6) {
    case 0:
      return isSingleSegment ? frame.readUInt8(at) : null
    case 1:
      return frame.readUInt16LE(at) + 256
    case 2:
      return frame.readUInt32LE(at)
    default:
      return Number(frame.readBigUInt64LE(at))
  }
}
