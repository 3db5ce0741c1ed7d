import type { ArchiveKey } from '../../lib/archive/key.ts'
import { objectKey } from '../../lib/archive/key.ts'
import { listPartition } from '../../lib/archive/list.ts'
import { ArchiveFormatError, readArchive } from '../../lib/archive/read.ts'
import type { ArchivedRecord } from '../../lib/archive/row.ts'
import { parseSummary, summaryMetadata } from '../../lib/archive/summary.ts'
import { messageOf, RetriableError } from '../../lib/errors.ts'
import type { S3 } from '../../lib/s3.ts'
import type { SealedObject } from './object-builder.ts'

/** The archive, as one archiver needs it. Every method throws a RetriableError while the object store is away. */
export interface ArchiveStore {
  /** Never overwrites. */
  put(key: ArchiveKey, object: SealedObject): Promise<'put' | 'exists'>
  exists(key: ArchiveKey): Promise<boolean>
  /** Offset of an object's last row. */
  lastOffset(key: ArchiveKey): Promise<number>
  /** The row that an object holds for an offset; null: none. */
  row(key: ArchiveKey, offset: number): Promise<ArchivedRecord | null>
  /** Whether rows were taken out of an object because a user was erased. */
  hasErased(key: ArchiveKey): Promise<boolean>
  /** All objects of a partition by first offset. */
  list(topic: string, partition: number): Promise<ArchiveKey[]>
}

/** @param prefix of every key, without slashes at its ends; may be empty */
export function openStore(s3: S3, prefix: string): ArchiveStore {
  async function* rows(key: ArchiveKey) {
    const name = objectKey(prefix, key)
    const source = await s3.get(name)
    try {
      yield* (await readArchive(source)).rows
    } catch (error) {
      if (!(error instanceof ArchiveFormatError)) throw error
      // Foreign bytes under our key: nothing may be written over them, and nothing skipped because of them.
      throw new RetriableError(`The object ${name} cannot be read: ${messageOf(error)}`, { cause: error })
    } finally {
      source.destroy()
    }
  }

  return {
    put: (key, object) =>
      s3.putIfAbsent({
        key: objectKey(prefix, key),
        open: object.open,
        length: object.length,
        md5: object.md5,
        contentType: 'application/avro',
        metadata: summaryMetadata(object.summary),
      }),

    exists: async (key) => (await s3.head(objectKey(prefix, key))) !== null,

    async lastOffset(key) {
      const head = await s3.head(objectKey(prefix, key))
      if (!head) throw new RetriableError(`The object ${objectKey(prefix, key)} is gone`)
      const summary = parseSummary(head.metadata)
      if (summary) return summary.lastOffset
      // A tool that copied the archive dropped the metadata: the rows tell.
      let last = -1
      for await (const row of rows(key)) last = row.offset
      return last
    },

    async row(key, offset) {
      for await (const row of rows(key)) {
        if (row.offset === offset) return row
        if (row.offset > offset) break
      }
      return null
    },

    async hasErased(key) {
      const head = await s3.head(objectKey(prefix, key))
      return (parseSummary(head?.metadata ?? {})?.erasedCount ?? 0) > 0
    },

    list: (topic, partition) => listPartition({ s3, prefix, topic, partition }),
  }
}
