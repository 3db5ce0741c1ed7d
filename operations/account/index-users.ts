import { entryKey, putEntry } from '../../lib/archive/user-index.ts'
import type { Lease } from '../lease.ts'
import { withLease } from '../lease.ts'
import type { Operator, Watch } from '../operator.ts'
import { atATime } from './at-a-time.ts'
import { readContents } from './erase-object.ts'
import type { IndexReport } from './report.ts'
import type { IndexedObject } from './user-index.ts'
import { dropOrphans, listIndexed } from './user-index.ts'

interface IndexOptions extends Watch {
  /** If false, the report says what would be done. */
  execute: boolean
}

/** Writes the index entries that archive objects lack, and drops those whose objects are gone. */
export async function indexUsers(operator: Operator, options: IndexOptions): Promise<IndexReport> {
  if (!options.execute) return index(operator, options, null)
  const sql = await operator.postgres()
  return withLease(sql, { name: 'erase', signal: options.signal }, (lease) => index(operator, options, lease))
}

/** @param lease null for a dry run */
async function index(operator: Operator, options: IndexOptions, lease: Lease | null): Promise<IndexReport> {
  const { execute: executed, signal } = options
  const [{ topology }, archive] = await Promise.all([operator.broker(), operator.archive()])
  const listing = await listIndexed(archive, topology.recentlyPlayed.name)
  const bare = listing.objects.filter(({ entry }) => entry === null)
  const done = lease ? await writeEntries(operator, bare, { ...options, lease }) : { written: 0, damaged: [] }
  if (lease && !signal.aborted) await dropOrphans(archive, listing)
  const [objects, unnamed, orphans] = [listing.objects.length, bare.length, listing.orphans.length]
  return { executed, objects, unnamed, orphans, ...done, aborted: signal.aborted }
}

const objectsAtATime = 4

async function writeEntries(
  operator: Operator,
  objects: readonly IndexedObject[],
  { lease, signal, onProgress }: Watch & { lease: Lease },
): Promise<Pick<IndexReport, 'written' | 'damaged'>> {
  const { s3, prefix } = await operator.archive()
  const done = { written: 0, damaged: [] as string[] }
  let read = 0
  await atATime(objectsAtATime, objects, async ({ key, path }) => {
    if (signal.aborted) return
    const contents = await readContents(s3, path, null)
    onProgress?.(++read, objects.length)
    if (!contents) done.damaged.push(path)
    if (!contents?.etag) return
    lease.assertHeld()
    await putEntry(s3, entryKey(prefix, key, contents.etag), contents)
    done.written++
  })
  return done
}
