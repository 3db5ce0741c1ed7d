import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { Readable } from 'node:stream'
import type { ArchiveKey } from '../../lib/archive/key.ts'
import { ArchiveFormatError, readArchive } from '../../lib/archive/read.ts'
import { withoutRows } from '../../lib/archive/rewrite.ts'
import { Spool } from '../../lib/archive/spool.ts'
import { parseSummary, summaryMetadata } from '../../lib/archive/summary.ts'
import { userOf } from '../../lib/archive/user-index.ts'
import { RetriableError } from '../../lib/errors.ts'
import type { S3 } from '../../lib/s3.ts'

/** An object at the time of the read. */
export interface ObjectContents {
  /** Names the version that was read; empty if the store gives none. */
  etag: string
  lastOffset: number
  /** Users with rows in the object. */
  users: ReadonlySet<string>
  /** Counts of all rows, of the user's own rows, and of rows that earlier erasures removed. */
  rows: number
  own: number
  erased: number
}

/** Reads an object, one block in memory at a time; null if it is damaged or gone. */
export async function readContents(
  s3: S3,
  path: string,
  user: string | null,
): Promise<ObjectContents | null> {
  const object = await s3.read(path).catch((error) => {
    if (error instanceof Error && error.name === 'NoSuchKey') return null
    throw error
  })
  if (!object) return null
  const { body, etag, metadata } = object
  const users = new Set<string>()
  let [lastRow, count, own] = [-1, 0, 0]
  try {
    const { rows, summary } = await readArchive(body)
    for await (const { offset, key } of rows) {
      const owner = userOf(key)
      lastRow = offset
      count++
      if (owner === null) continue
      users.add(owner)
      if (owner === user) own++
    }
    const { lastOffset = lastRow, erasedCount: erased = 0 } = parseSummary(metadata) ?? summary ?? {}
    return { etag, lastOffset, users, rows: count, own, erased }
  } catch (error) {
    if (error instanceof ArchiveFormatError) return null
    throw error
  } finally {
    body.destroy()
  }
}

/** An object, and the user whose rows it loses. */
interface ErasedObject {
  key: ArchiveKey
  path: string
  user: string
  contents: ObjectContents
}

/**
 * Replaces the version of an object that was read with one without the user's rows. The key and the first and last
 * offsets stay, so the archiver still counts the offsets as covered.
 *
 * @param assertAllowed called right before the object is replaced; throws to prevent it
 * @returns the ETag of the new version
 * @throws RetriableError when another process has replaced it meanwhile
 */
export async function eraseFromObject(
  s3: S3,
  { key, path, user, contents }: ErasedObject,
  assertAllowed: () => void,
): Promise<string> {
  const { body, etag } = await s3.read(path)
  const summary = {
    firstOffset: key.firstOffset,
    lastOffset: contents.lastOffset,
    recordCount: contents.rows - contents.own,
    erasedCount: contents.erased + contents.own,
    ...(key.incarnation && { incarnation: key.incarnation }),
  }
  const spool = new Spool(tmpdir())
  const md5 = createHash('md5')
  try {
    const { kept } = await withoutRows(key, body, {
      summary,
      isRemoved: (row) => userOf(row.key) === user,
      async write(bytes) {
        md5.update(bytes)
        await spool.append(bytes)
      },
    })
    if (etag !== contents.etag || kept !== summary.recordCount) throw replacedMeanwhile(path)
    assertAllowed()
    const replaced = await s3.replace(
      {
        key: path,
        open: () => Readable.from(spool.read(), { objectMode: false }),
        length: spool.length,
        md5: md5.digest('base64'),
        contentType: 'application/avro',
        metadata: summaryMetadata(summary),
      },
      etag,
    )
    if (replaced === null) throw replacedMeanwhile(path)
    return replaced
  } finally {
    body.destroy()
    await spool.close()
  }
}

function replacedMeanwhile(path: string): RetriableError {
  return new RetriableError(`The object ${path} was replaced by somebody else meanwhile`)
}
