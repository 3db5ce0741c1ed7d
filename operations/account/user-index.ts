import type { ArchiveKey } from '../../lib/archive/key.ts'
import { byPlace, objectKey, parseObjectKey, topicPrefix } from '../../lib/archive/key.ts'
import { entryKey, indexPrefix, parseEntryKey } from '../../lib/archive/user-index.ts'
import type { S3 } from '../../lib/s3.ts'
import type { Archive } from '../operator.ts'

/** An object of the archive, and its entry in the index of users. */
export interface IndexedObject {
  key: ArchiveKey
  path: string
  /** Empty if the store gives none: then only reading the object shows what it holds. */
  etag: string
  /** Key of its entry, or null if it has none. */
  entry: string | null
}

export interface IndexedListing {
  /** In the order of places. */
  objects: IndexedObject[]
  /** Entries whose version of an object no longer exists. */
  orphans: string[]
}

/**
 * All objects of a topic with their entries. Entries are listed first: an entry is written after its object, so the
 * later listing should have the object. An object that it leaves out is read by its name.
 */
export async function listIndexed({ s3, prefix }: Archive, topic: string): Promise<IndexedListing> {
  const entries = new Set<string>()
  for await (const path of s3.list(indexPrefix(prefix, topic))) entries.add(path)
  const objects: IndexedObject[] = []
  const listed = new Set<string>()
  for await (const { key: path, etag } of s3.objects(topicPrefix(prefix, topic))) {
    const key = parseObjectKey(path)
    // Other files may lie in the folder.
    if (!key || path !== objectKey(prefix, key)) continue
    const entry = etag === '' ? '' : entryKey(prefix, key, etag)
    objects.push({ key, path, etag, entry: entries.delete(entry) ? entry : null })
    listed.add(path)
  }
  for (const left of entries) {
    const key = parseEntryKey(prefix, topic, left)
    const path = key && objectKey(prefix, key)
    const etag = path && !listed.has(path) ? await readEtag(s3, path) : null
    if (!path || etag === null) continue
    const isOwn = etag !== '' && entryKey(prefix, key, etag) === left
    if (isOwn) entries.delete(left)
    objects.push({ key, path, etag, entry: isOwn ? left : null })
    listed.add(path)
  }
  return { objects: objects.sort((a, b) => byPlace(a.key, b.key)), orphans: [...entries] }
}

/** The ETag, or null if the object does not exist. */
async function readEtag(s3: S3, path: string): Promise<string | null> {
  try {
    const { body, etag } = await s3.read(path)
    body.destroy()
    return etag
  } catch (error) {
    if (error instanceof Error && error.name === 'NoSuchKey') return null
    throw error
  }
}

/** Deletes entries that belong to no object: they may name erased users. */
export async function dropOrphans({ s3 }: Archive, { orphans }: IndexedListing): Promise<void> {
  for (const path of orphans) await s3.delete(path)
}
