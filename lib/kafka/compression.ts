import kafkajs from 'kafkajs'
import { compress, decompress } from '../zstd.ts'

const { CompressionCodecs, CompressionTypes } = kafkajs

/**
 * The Java client writes snappy's blocks in the format of snappy-java, which begins with this name and two versions.
 */
const snappyJava = Buffer.from('\x82SNAPPY\0', 'latin1')
const snappyJavaHeaderBytes = snappyJava.length + 8
/** Kafka has three bits for the codec. */
const lastCodec = 7

/**
 * Registers every compression that a record can have; kafkajs itself reads gzip only. songswap compresses with zstd.
 * Other producers may use any codec, and a broker with `compression.type` compresses records again.
 */
export function registerCodecs(): void {
  const codecs: Record<number, () => unknown> = CompressionCodecs
  codecs[CompressionTypes.ZSTD] = () => ({
    compress: ({ buffer }: { buffer: Buffer }) => compress(buffer),
    decompress,
  })
  codecs[CompressionTypes.Snappy] = readOnly(decompressSnappy)
  codecs[CompressionTypes.LZ4] = readOnly(decompressLz4)
  for (let codec = CompressionTypes.ZSTD + 1; codec <= lastCodec; codec++) {
    // kafkajs would read an unknown codec as uncompressed.
    codecs[codec] = readOnly(() => {
      throw new Error(`compression ${codec} is not known`)
    })
  }
}

function readOnly(read: (bytes: Buffer) => Promise<Buffer>) {
  const compress = () => Promise.reject(new Error('records are compressed with zstd'))
  return () => ({ compress, decompress: read })
}

/** Decompresses an LZ4 frame. The package is loaded at the first one: most streams never have one. */
async function decompressLz4(bytes: Buffer): Promise<Buffer> {
  const { decompressFrame } = await import('lz4-napi')
  return decompressFrame(bytes)
}

/** Decompresses one block, as librdkafka writes it, or a sequence of blocks with lengths, as the Java client does. */
async function decompressSnappy(bytes: Buffer): Promise<Buffer> {
  const { uncompress } = await import('snappy')
  const read = async (block: Buffer) => Buffer.from(await uncompress(block))
  if (!bytes.subarray(0, snappyJava.length).equals(snappyJava)) return read(bytes)
  const blocks: Buffer[] = []
  for (let at = snappyJavaHeaderBytes; at < bytes.length; ) {
    const length = bytes.readInt32BE(at)
    at += 4
    blocks.push(await read(bytes.subarray(at, at + length)))
    at += length
  }
  return Buffer.concat(blocks)
}
