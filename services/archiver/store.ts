import type { ArchiveKey } from '../../lib/archive/key.ts'
import { objectKey } from '../../lib/archive/key.ts'
import type { ArchiveReader } from '../../lib/archive/read.ts'
import { ArchiveFormatError, readArchive } from '../../lib/archive/read.ts'
import { parseSummary, summaryMetadata } from '../../lib/archive/summary.ts'
import { messageOf, RetriableError } from '../../lib/errors.ts'
import type { S3 } from '../../lib/s3.ts'
import type { Contents } from './contents.ts'
import { readContents } from './contents.ts'
import type { Freshness } from './listing.ts'
import { ArchiveListing } from './listing.ts'
import type { SealedObject } from './object-builder.ts'
import type { UserIndex } from './user-index.ts'

/** The object was listed but no longer exists. */
export class ObjectGoneError extends RetriableError {
  override name = 'ObjectGoneError'
}

/** The archive, as one archiver needs it. Every method throws a RetriableError while the object store is away. */
export interface ArchiveStore {
  /** Never overwrites. */
  put(key: ArchiveKey, object: SealedObject): Promise<'put' | 'exists'>
  exists(key: ArchiveKey): Promise<boolean>
  /** Offset of an object's last row. */
  lastOffset(key: ArchiveKey): Promise<number>
  /** All that an object holds. */
  contents(key: ArchiveKey): Promise<Contents>
  /** All objects of a partition by incarnation and first offset; see {@link ArchiveListing.list}. */
  list(topic: string, partition: number, freshness?: Freshness): Promise<ArchiveKey[]>
}

interface StoreParts {
  /** Notes the users of each object that was put. */
  index?: UserIndex
  /** Called before each put. @throws RetriableError while nothing may be put */
  assertProven?: () => Promise<void>
}

/** @param prefix of every key, without slashes at either end; may be empty */
export function openStore(s3: S3, prefix: string, { index, assertProven }: StoreParts = {}): ArchiveStore {
  const listing = new ArchiveListing(s3, prefix)

  /** Reads bytes and metadata of one version: an erasure may replace the object at any time. */
  async function read<T>(
    key: ArchiveKey,
    take: (archive: ArchiveReader, metadata: Record<string, string>) => Promise<T>,
  ): Promise<T> {
    const name = objectKey(prefix, key)
    const { body, metadata } = await s3.read(name)
    try {
      return await take(await readArchive(body), metadata)
    } catch (error) {
      if (!(error instanceof ArchiveFormatError)) throw error
      // Foreign bytes under our key must not be overwritten, and no record may be skipped because of them.
      throw new RetriableError(`The object ${name} cannot be read: ${messageOf(error)}`, { cause: error })
    } finally {
      body.destroy()
    }
  }

  return {
    async put(key, object) {
      await assertProven?.()
      const etag = await s3.create({
        key: objectKey(prefix, key),
        open: object.open,
        length: object.length,
        md5: object.md5,
        contentType: 'application/avro',
        metadata: summaryMetadata(object.summary),
      })
      if (etag === null) return 'exists'
      index?.note(key, etag, { lastOffset: object.summary.lastOffset, users: object.users })
      return 'put'
    },

    exists: async (key) => (await s3.head(objectKey(prefix, key))) !== null,

    async lastOffset(key) {
      const head = await s3.head(objectKey(prefix, key))
      if (!head) throw new ObjectGoneError(`The object ${objectKey(prefix, key)} is gone`)
      const known = parseSummary(head.metadata)
      if (known) return known.lastOffset
      // A tool that copied the archive has dropped the metadata: read the header or the rows.
      return read(key, async ({ rows, summary }) => {
        if (summary) return summary.lastOffset
        let last = -1
        for await (const row of rows) last = row.offset
        return last
      })
    },

    contents: (key) =>
      read(key, (archive, metadata) => {
        const { erasedCount = 0 } = parseSummary(metadata) ?? archive.summary ?? {}
        return readContents(archive, erasedCount > 0)
      }),

    list: (topic, partition, freshness) => listing.list(topic, partition, freshness),
  }
}
