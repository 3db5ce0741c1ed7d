import { createHash } from 'node:crypto'
import avsc from 'avsc'
import type { AvroSchema } from '../topology.ts'
import type { ArchiveKey } from './key.ts'

/*
 * Avro object container file, https://avro.apache.org/docs/1.12.0/specification/#object-container-files:
 * header (magic, metadata, sync marker), then blocks: count of rows, size in bytes, compressed rows, sync marker.
 */

export const magic = Buffer.from('Obj\u0001', 'latin1')
export const syncBytes = 16
/** Avro's name of zstd. */
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

/** Before the names of what an object's header says of its rows. */
const summaryPrefix = 'songswap.'

/**
 * The bytes that begin a file.
 *
 * @param summary as S3 metadata, of an object that was written again; other readers pass it over
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

/** What {@link encodeHeader} was given as a summary. */
export function readSummaryTexts(meta: Record<string, Buffer>): Record<string, string> {
  const own = Object.entries(meta).filter(([name]) => name.startsWith(summaryPrefix))
  return Object.fromEntries(
    own.map(([name, bytes]) => [name.slice(summaryPrefix.length), bytes.toString('utf8')]),
  )
}

/** A block around its compressed rows. */
export function encodeBlock(rows: number, compressed: Buffer, sync: Buffer): Buffer {
  return Buffer.concat([longType.toBuffer(rows), longType.toBuffer(compressed.length), compressed, sync])
}

/**
 * The sync marker of an object: derived from what it holds, so that the same records always give the same
 * bytes, and different from object to object.
 */
export function syncMarker({ topic, partition, firstOffset, incarnation }: Omit<ArchiveKey, 'date'>): Buffer {
  const log = incarnation ? `+${incarnation}` : ''
  return createHash('sha256')
    .update(`${topic}+${partition}+${firstOffset}${log}`)
    .digest()
    .subarray(0, syncBytes)
}
