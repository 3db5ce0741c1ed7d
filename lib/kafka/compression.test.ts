import { createRequire } from 'node:module'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import { expect, test } from 'vitest'
import { registerCodecs } from './compression.ts'

registerCodecs()

interface Compression {
  lookupCodecByAttributes(attributes: number): { decompress(bytes: Buffer): Promise<Buffer> } | null
}
const { lookupCodecByAttributes }: Compression = createRequire(import.meta.url)(
  'kafkajs/src/protocol/message/compression/index.js',
)

/** As kafkajs does it with the records of a batch. */
async function decompress(codec: number, bytes: Buffer): Promise<Buffer> {
  return (await lookupCodecByAttributes(codec)?.decompress(bytes)) ?? bytes
}

const text = Buffer.from('The same words again and again. '.repeat(5_000))
const header = Buffer.concat([Buffer.from('\x82SNAPPY\0', 'latin1'), Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])])
const block = (part: Buffer) => {
  const bytes = compressSync(part)
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

test.each([
  ['one block of snappy, as librdkafka writes it', 2, compressSync(text)],
  [
    'blocks of snappy, as the Java client writes them',
    2,
    Buffer.concat([header, block(text.subarray(0, 70_000)), block(text.subarray(70_000))]),
  ],
  ['a frame of lz4', 3, compressFrameSync(text)],
])('%s are read', async (_what, codec, bytes) => {
  expect((await decompress(codec, bytes)).equals(text)).toBe(true)
})

test.each([
  ['a block of snappy that is cut short', 2, Buffer.concat([header, block(text)]).subarray(0, -3)],
  ['a frame of lz4 that is cut short', 3, compressFrameSync(text).subarray(0, -20)],
  ['a compression that nobody knows', 5, text],
])('%s is an error, not something else', async (_what, codec, bytes) => {
  await expect(decompress(codec, bytes)).rejects.toThrow()
})
