import pLimit from 'p-limit'
import type { ArchiveKey } from '../../lib/archive/key.ts'
import type { IndexEntry } from '../../lib/archive/user-index.ts'
import { entryKey, putEntry } from '../../lib/archive/user-index.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { S3 } from '../../lib/s3.ts'
import type { Resource } from '../../lib/scope.ts'
import { within } from '../../lib/time-limit.ts'

/** Writes the index of users after the objects. It is best effort: nothing waits for it. */
export interface UserIndex extends Resource {
  /** Notes an object that was put. @param etag of that version, or empty if the store returned none */
  note(key: ArchiveKey, etag: string, entry: IndexEntry): void
}

const atOnce = 2
/** Limits the entries that wait if the store takes objects but no entries. */
const mostWaiting = 100
const closeWithinMs = 1_000

/** @param topic whose keys are user ids */
export function openUserIndex(s3: S3, of: { prefix: string; topic: string; log: Logger }): UserIndex {
  const { prefix, topic, log } = of
  const limit = pLimit(atOnce)
  const pending = new Set<Promise<void>>()

  async function write(path: string, entry: IndexEntry): Promise<void> {
    try {
      await putEntry(s3, path, entry)
    } catch (error) {
      log.warn({ path, reason: messageOf(error) }, 'index_entry_failed')
    }
  }

  return {
    note(key, etag, entry) {
      if (key.topic !== topic || etag === '' || pending.size >= mostWaiting) return
      const writing = limit(() => write(entryKey(prefix, key, etag), entry)).finally(() =>
        pending.delete(writing),
      )
      pending.add(writing)
    },
    async close() {
      await within(closeWithinMs, Promise.all(pending))
      limit.clearQueue()
    },
  }
}
