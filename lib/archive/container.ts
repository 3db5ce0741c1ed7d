import { createHash } from 'node:crypto'
import avsc from 'avsc'
import type { AvroSchema } from '../topology.ts'
import type { ArchiveKey } from './key.ts'

/*
 * The format of an Avro object container file: a header (magic, metadata, sync marker), then blocks, each with the
 * count of its rows, its size in bytes, the compressed rows and the sync marker.
 * https://avro.apache.org/docs/1.12.0/specification/#object-container-files
 */

export const magic = Buffer.from('Obj\u0001', 'latin1')
export const syncBytes = 16
/** Avro's name for zstd. */
export const codecName = 'zstandard'

export const headerType = avsc.Type.forSchema({
  type: 'record',
  name: 'Header',
  fields: [
    { name: 'magic', type: { type: 'fixed', name: 'Magic', size: magic.length } },
    { name: 'meta', type: { type: 'map', values: 'bytes' } },
    { name: 'sync', type: { type: 'fixed', name: 'Sync', size: syncBytes } },
  ],
})

const longType = avsc.Type.forSchema('long')

/** Begins the names of the summary's fields in the header. */
const summaryPrefix = 'songswap.'

/**
 * The bytes that begin a file.
 *
 * @param summary the S3 metadata of an object that was rewritten; other readers of Avro ignore it
 */
export function encodeHeader(schema: AvroSchema, sync: Buffer, summary: Record<string, string> = {}): Buffer {
  const own = Object.entries(summary).map(([name, text]) => [summaryPrefix + name, Buffer.from(text, 'utf8')])
  return headerType.toBuffer({
    magic,
    meta: {
      'avro.schema': Buffer.from(JSON.stringify(schema), 'utf8'),
      'avro.codec': Buffer.from(codecName, 'utf8'),
      ...Object.fromEntries(own),
    },
    sync,
  })
}

/** Reads the summary that {@link encodeHeader} wrote. */
export function readSummaryTexts(meta: Record<string, Buffer>): Record<string, string> {
  const own = Object.entries(meta).filter(([name]) => name.startsWith(summaryPrefix))
  return Object.fromEntries(
    own.map(([name, bytes]) => [name.slice(summaryPrefix.length), bytes.toString('utf8')]),
  )
}

/** Encodes a block of compressed rows. */
export function encodeBlock(rows: number, compressed: Buffer, sync: Buffer): Buffer {
  return Buffer.concat([longType.toBuffer(rows), longType.toBuffer(compressed.length), compressed, sync])
}

/**
 * The sync marker of an object. It is derived from the object's place: the same records always give the same bytes, and
 * no two objects share a marker.
 */
export function syncMarker({ topic, partition, firstOffset, incarnation }: Omit<ArchiveKey, 'date'>): Buffer {
  const log = incarnation ? `+${incarnation}` : ''
  return createHash('sha256')
    .update(`${topic}+${partition}+${firstOffset}${log}`)
    .digest()
    .subarray(0, syncBytes)
}
