import { createHash } from 'node:crypto'
import type avsc from 'avsc'
import type { ArchiveReader } from '../../lib/archive/read.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import { rowType } from '../../lib/archive/row.ts'
import type { ArchiverRow } from './row-format.ts'
import { framingBytes } from './row-format.ts'

/** What an object holds: a fingerprint by offset, enough to decide whether a record is in it. */
export interface Contents {
  fingerprints: ReadonlyMap<number, number>
  /** Rows of an erased user were removed, so an offset without a row proves nothing. */
  hasErased: boolean
}

/** Reads what an object holds. */
export async function readContents({ schema, rows }: ArchiveReader, hasErased: boolean): Promise<Contents> {
  const { type } = (rowType(schema) as avsc.types.RecordType).field('value')
  const fingerprints = new Map<number, number>()
  for await (const row of rows) {
    const payload = row.value === null ? unframed(row.raw) : encoded(type, row.value)
    fingerprints.set(row.offset, toFingerprint(row, payload))
  }
  return { fingerprints, hasErased }
}

/**
 * Whether an object holds this record, by time, key and value. Headers do not count: clients deliver unusual ones in
 * different forms, and a restored record has other headers than before.
 */
export function holds({ fingerprints, hasErased }: Contents, { row, bytes, format }: ArchiverRow): boolean {
  const known = fingerprints.get(row.offset)
  if (known === undefined) return hasErased
  const isDecodedRow = bytes === null && row.value !== null && format !== null
  return known === toFingerprint(row, isDecodedRow ? encoded(format.value, row.value) : unframed(bytes))
}

/** The value's Avro binary: the same for a value that was archived decoded and for one kept raw. */
function unframed(bytes: Buffer | null): Buffer | null {
  return bytes && bytes.length >= framingBytes && bytes[0] === 0 ? bytes.subarray(framingBytes) : bytes
}

/** The value's Avro binary without the index of the union with null. */
function encoded(type: avsc.Type, value: unknown): Buffer {
  return type.toBuffer(value).subarray(1)
}

const fingerprintBytes = 6

function toFingerprint({ timestamp, key }: Pick<ArchivedRecord, 'timestamp' | 'key'>, value: Buffer | null) {
  const hash = createHash('sha256').update(`${timestamp} ${key?.length ?? null} ${value?.length ?? null} `)
  for (const part of [key, value]) if (part) hash.update(part)
  return hash.digest().readUIntBE(0, fingerprintBytes)
}
