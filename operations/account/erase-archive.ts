import pLimit from 'p-limit'
import { missingOffsets } from '../../lib/archive/chain.ts'
import { sameLog } from '../../lib/archive/key.ts'
import type { IndexEntry } from '../../lib/archive/user-index.ts'
import { entryKey, putEntry, readEntry } from '../../lib/archive/user-index.ts'
import type { Lease } from '../lease.ts'
import type { Archive, Watch } from '../operator.ts'
import { atATime } from './at-a-time.ts'
import { eraseFromObject, readContents } from './erase-object.ts'
import type { ArchiveErasure, Owner } from './report.ts'
import type { IndexedObject } from './user-index.ts'
import { dropOrphans, listIndexed } from './user-index.ts'

interface Erasing extends Watch {
  topic: string
  owner: Owner
  /** Null for a dry run. */
  lease: Lease | null
  /** The archiver's committed offset by partition: all records before it are in objects. */
  readArchivedUpTo: () => Promise<ReadonlyMap<number, number>>
}

const objectsAtATime = 2
const entriesAtATime = 16
/** One round erases, one confirms, one finds nothing left; the others are for objects that are put meanwhile. */
const mostRounds = 6

/**
 * Rewrites every object of a topic that holds records of a user, without those records. It checks all partitions: a
 * key may have lain in another one when the topic had fewer. It trusts the index entry of an object, and opens an
 * object without one.
 *
 * It lists and checks in rounds until a listing shows only objects that are known to be free of the user: it reads
 * each rewritten object once more, and checks objects that were put meanwhile.
 *
 * @returns also `archivedUpTo` as it was before the last listing
 */
export async function eraseFromArchive(
  archive: Archive,
  erasing: Erasing,
): Promise<ArchiveErasure & { archivedUpTo: ReadonlyMap<number, number> }> {
  const eraser = new ArchiveEraser(archive, erasing)
  let isLeft = true
  for (let round = 0; isLeft && round < (erasing.lease ? mostRounds : 1); round++) {
    isLeft = await eraser.round()
  }
  return { ...eraser.found(), confirmed: !isLeft && !erasing.signal.aborted }
}

/** What the eraser knows of an object. */
interface Known {
  lastOffset: number
  /** ETag of a version that is free of the user, or null if no version is known to be. */
  free: string | null
}

class ArchiveEraser {
  readonly #archive: Archive
  readonly #e: Erasing
  readonly #user: string
  readonly #reading = pLimit(objectsAtATime)
  readonly #known = new Map<string, Known>()
  #listed: IndexedObject[] = []
  #archivedUpTo: ReadonlyMap<number, number> = new Map()
  /** Objects that held records of the user. */
  readonly #own = new Set<string>()
  readonly #damaged = new Set<string>()
  readonly #counts = { read: 0, passed: 0, records: 0 }
  #looked = 0

  constructor(archive: Archive, erasing: Erasing) {
    this.#archive = archive
    this.#e = erasing
    this.#user = String(erasing.owner.id)
  }

  found(): Omit<ArchiveErasure, 'confirmed'> & { archivedUpTo: ReadonlyMap<number, number> } {
    const { topic, signal } = this.#e
    const archivedUpTo = this.#archivedUpTo
    const covered = this.#listed.map(({ key, path }, i) => {
      // All that is known of a damaged object is that it ends before the next one begins.
      const next = this.#listed[i + 1]?.key
      const least = next && sameLog(key, next) ? next.firstOffset - 1 : key.firstOffset
      return { ...key, lastOffset: this.#known.get(path)?.lastOffset ?? least }
    })
    const missing = signal.aborted ? [] : missingOffsets(covered, topic, archivedUpTo)
    return { ...this.#counts, objects: this.#own.size, damaged: [...this.#damaged], missing, archivedUpTo }
  }

  /** @returns whether the listing showed an object that was not known to be free */
  async round(): Promise<boolean> {
    const { topic, lease, signal } = this.#e
    this.#archivedUpTo = await this.#e.readArchivedUpTo()
    const listing = await listIndexed(this.#archive, topic)
    this.#listed = listing.objects
    const left = listing.objects.filter(
      ({ path, etag }) => !this.#damaged.has(path) && this.#known.get(path)?.free !== etag,
    )
    await atATime(entriesAtATime, left, (object) => this.#look(object))
    if (lease && !signal.aborted) await dropOrphans(this.#archive, listing)
    return left.length > 0
  }

  async #look(object: IndexedObject): Promise<void> {
    if (this.#e.signal.aborted) return
    const { path, etag, entry } = object
    // A rewritten object is read again even if its entry does not name the user.
    const named = entry !== null && !this.#own.has(path) ? await readEntry(this.#archive.s3, entry) : null
    if (named && !named.users.has(this.#user)) {
      this.#counts.passed++
      this.#known.set(path, { lastOffset: named.lastOffset, free: etag })
      return
    }
    await this.#reading(() => this.#erase(object))
    this.#e.onProgress?.(++this.#looked, null)
  }

  async #erase(object: IndexedObject): Promise<void> {
    const { signal, lease } = this.#e
    const { path, etag, key, entry } = object
    const { s3 } = this.#archive
    if (signal.aborted) return
    const contents = await readContents(s3, path, this.#user)
    this.#counts.read++
    if (!contents) {
      this.#damaged.add(path)
      return
    }
    const { lastOffset, own, users } = contents
    this.#known.set(path, { lastOffset, free: own === 0 ? etag : null })
    if (own === 0) {
      if (lease && entry === null) await this.#index(object, contents.etag, contents)
      return
    }
    this.#own.add(path)
    this.#counts.records += own
    if (!lease) return
    const written = await eraseFromObject(s3, { key, path, user: this.#user, contents }, lease.assertHeld)
    if (entry !== null) await s3.delete(entry)
    const others = new Set([...users].filter((user) => user !== this.#user))
    await this.#index(object, written, { lastOffset, users: others })
  }

  async #index({ key }: IndexedObject, etag: string, entry: IndexEntry): Promise<void> {
    const { s3, prefix } = this.#archive
    if (etag !== '') await putEntry(s3, entryKey(prefix, key, etag), entry)
  }
}
