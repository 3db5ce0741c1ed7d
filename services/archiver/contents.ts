import { createHash } from 'node:crypto'
import type avsc from 'avsc'
import type { ArchiveReader } from '../../lib/archive/read.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import { rowType } from '../../lib/archive/row.ts'
import type { ArchiverRow } from './row-format.ts'
import { framingBytes } from './row-format.ts'

/** What an object holds, row by row: enough to tell whether a record is in it, a number each. */
export interface Contents {
  fingerprints: ReadonlyMap<number, number>
  /** Rows were taken out because a user was erased: an offset without a row says nothing. */
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
 * Whether an object holds this very record: its time, key and value. Headers are left out: clients hand over odd
 * ones in different forms, and a record that is put back from the archive has others than before.
 */
export function holds({ fingerprints, hasErased }: Contents, { row, bytes, format }: ArchiverRow): boolean {
  const known = fingerprints.get(row.offset)
  if (known === undefined) return hasErased
  const isDecodedRow = bytes === null && row.value !== null && format !== null
  return known === toFingerprint(row, isDecodedRow ? encoded(format.value, row.value) : unframed(bytes))
}

/** The value's Avro binary: the same whether it was decoded when it was archived, or kept raw. */
function unframed(bytes: Buffer | null): Buffer | null {
  return bytes && bytes.length >= framingBytes && bytes[0] === 0 ? bytes.subarray(framingBytes) : bytes
}

/** Without the index of the union with null. */
function encoded(type: avsc.Type, value: unknown): Buffer {
  return type.toBuffer(value).subarray(1)
}

const fingerprintBytes = 6

function toFingerprint({ timestamp, key }: Pick<ArchivedRecord, 'timestamp' | 'key'>, value: Buffer | null) {
  const hash = createHash('sha256').update(`${timestamp} ${key?.length ?? null} ${value?.length ?? null} `)
  for (const part of [key, value]) if (part) hash.update(part)
  return hash.digest().readUIntBE(0, fingerprintBytes)
}
