import type { Zlib, ZstdCompress, ZstdOptions } from 'node:zlib'
import { constants, createZstdCompress, zstdDecompress } from 'node:zlib'
import pLimit from 'p-limit'

/** More do not help on two cores, and each compressor takes 2 MB of memory. */
const atOnce = 2
const compressing = pLimit(atOnce)
const idle: ZstdCompress[] = []

const compressOptions: ZstdOptions = {
  // Most blocks of the archive fit into one chunk; Node's default of 16 KiB costs more CPU than parsing a page.
  chunkSize: 256 << 10,
  // Level 3: for pages, 2.6 times smaller than gzip at level 1, for a sixth more CPU.
  params: { [constants.ZSTD_c_compressionLevel]: 3 },
  // Each write makes one frame. zstd gets all of its content at once, so it knows the size.
  flush: constants.ZSTD_e_end,
}

/** Up to this size, trust the size in a frame's header and allocate memory for all of it at once. */
const maxTrustedSize = 16 << 20
/** Chunk size for a frame without a size, or with a larger one. */
const unsizedChunk = 1 << 20

/**
 * Compresses into one zstd frame whose header holds the size of its content, which some readers need. The same bytes
 * nearly always give the same frame, but zstd promises that only for a new compressor.
 *
 * Compressors are reused. To set one up costs half as much as compressing a block of 1 MiB, and Node's object for it
 * keeps buffers until V8 collects the whole heap.
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
      // Reading passes what is still buffered to onData.
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
 * Decompresses all frames of the bytes; zlib itself reads only the first, without an error about the others.
 *
 * @throws when the bytes are damaged, cut short or not frames
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

/** Memory that holds the content of one frame and nothing else. */
const lent = new WeakSet<ArrayBufferLike>()
/** Below this size, Node may put several buffers into one ArrayBuffer. */
const lentFrom = 64 << 10

/**
 * Frees memory that {@link decompress} allocated; ignores any other. Buffers in it are empty afterwards.
 *
 * V8 itself would free memory that has survived two minor collections only in a major one, which it starts for every
 * 64 MB of such memory.
 */
export function free(memory: ArrayBufferLike): void {
  if (lent.delete(memory) && memory instanceof ArrayBuffer) memory.transfer(0)
}

interface Frame {
  content: Buffer
  /** Bytes of the frame; the next frame begins after them. */
  used: number
}

function readFrame(bytes: Buffer): Promise<Frame> {
  const size = contentSize(bytes)
  // One byte more, or Node would allocate a second, empty chunk.
  const chunkSize = size !== null && size <= maxTrustedSize ? Math.max(size + 1, 64) : unsizedChunk
  return new Promise((resolve, reject) => {
    zstdDecompress(bytes, { chunkSize, info: true }, (error, result) => {
      if (error) return reject(error)
      // Node's types leave out `info`.
      const { buffer: content, engine } = result as unknown as { buffer: Buffer; engine: Zlib }
      const { buffer } = content
      if (buffer.byteLength === chunkSize && chunkSize >= lentFrom) lent.add(buffer)
      resolve({ content, used: engine.bytesWritten })
    })
  })
}

/** The content size in a zstd frame's header (RFC 8878, 3.1.1), or null if it has none. */
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
