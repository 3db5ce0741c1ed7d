import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import pLimit from 'p-limit'
import type { ArchiveKey } from '../../lib/archive/key.ts'
import { objectKey } from '../../lib/archive/key.ts'
import { ArchiveFormatError } from '../../lib/archive/read.ts'
import type { Rewritten } from '../../lib/archive/rewrite.ts'
import { withoutRows } from '../../lib/archive/rewrite.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import { parseSummary, summaryMetadata } from '../../lib/archive/summary.ts'
import type { Archive } from '../restore/objects.ts'
import { listTopic } from '../restore/objects.ts'
import type { Owner } from './find.ts'

/** What of a user is, or was, in the archive. */
export interface ArchiveErasure {
  /** Objects that were read. */
  read: number
  /** Objects with records of the user. */
  objects: number
  records: number
  /** Objects that cannot be read: whether the user is in them is not known. */
  damaged: string[]
}

const objectsAtATime = 2

/**
 * Writes every object of a topic that holds records of a user anew, without them. All partitions are read: a key
 * may have lain elsewhere when the topic had fewer. Keys and first and last offsets stay as they are, so that for
 * the archiver the offsets are covered as before.
 */
export async function eraseFromArchive(
  archive: Archive,
  of: { topic: string; owner: Owner; execute: boolean; signal: AbortSignal; onObject: () => void },
): Promise<ArchiveErasure> {
  const sum: ArchiveErasure = { read: 0, objects: 0, records: 0, damaged: [] }
  const key = Buffer.from(String(of.owner.id), 'latin1')
  const isOwn = (row: ArchivedRecord) => row.key?.equals(key) ?? false
  const limit = pLimit(objectsAtATime)
  const keys = await listTopic(archive, of.topic)
  await Promise.all(
    keys.map((object) =>
      limit(async () => {
        if (of.signal.aborted) return
        const removed = await eraseFromObject(archive, object, { isOwn, execute: of.execute })
        sum.read++
        of.onObject()
        if (removed === null) sum.damaged.push(objectKey(archive.prefix, object))
        else if (removed > 0) {
          sum.objects++
          sum.records += removed
        }
      }),
    ),
  )
  return sum
}

/** @returns rows of the user; null: the object is damaged, and stays as it is */
async function eraseFromObject(
  { s3, prefix }: Archive,
  key: ArchiveKey,
  { isOwn, execute }: { isOwn: (row: ArchivedRecord) => boolean; execute: boolean },
): Promise<number | null> {
  const path = objectKey(prefix, key)
  let lastOffset = key.firstOffset
  const source = await s3.get(path)
  try {
    const rewritten = await withoutRows(key, source, (row) => {
      lastOffset = Math.max(lastOffset, row.offset)
      return isOwn(row)
    })
    if (execute && rewritten.removed > 0) await replace({ s3, prefix }, key, { ...rewritten, lastOffset })
    return rewritten.removed
  } catch (error) {
    if (error instanceof ArchiveFormatError) return null
    throw error
  } finally {
    source.destroy()
  }
}

async function replace(
  { s3, prefix }: Archive,
  key: ArchiveKey,
  { bytes, kept, removed, lastOffset }: Rewritten & { lastOffset: number },
): Promise<void> {
  const path = objectKey(prefix, key)
  const known = parseSummary((await s3.head(path))?.metadata ?? {})
  await s3.replace({
    key: path,
    open: () => Readable.from([bytes], { objectMode: false }),
    length: bytes.length,
    md5: createHash('md5').update(bytes).digest('base64'),
    contentType: 'application/avro',
    metadata: summaryMetadata({
      firstOffset: key.firstOffset,
      lastOffset: known?.lastOffset ?? lastOffset,
      recordCount: kept,
      erasedCount: (known?.erasedCount ?? 0) + removed,
      ...(key.incarnation && { incarnation: key.incarnation }),
    }),
  })
}
