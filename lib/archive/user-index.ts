import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { S3 } from '../s3.ts'
import { compress, decompress } from '../zstd.ts'
import type { ArchiveKey } from './key.ts'
import { objectKey, parseObjectKey, topicPrefix } from './key.ts'

/*
 * An index of the users in each object of pages, so that finding one user does not read the whole archive. Each object
 * has an entry beside the archive:
 *
 *   <prefix>/index/<topic>/<date>/<name of the object>-<version>
 *
 * The version is a hash of the object's ETag, in the form of a UUID: the entry of the old object does not match a
 * rewritten one. An object without an entry has to be opened. Entries are written after the object, as far as that
 * works, and may be deleted at any time: `songswap account index` creates them again.
 */

/** The content of an entry. */
export interface IndexEntry {
  lastOffset: number
  /** Keys of the object's rows that are user ids, in decimal text. */
  users: ReadonlySet<string>
}

const userId = /^[1-9]\d{0,17}$/

/** The user id in a record's key, or null if the key holds none. */
export function userOf(key: Buffer | null): string | null {
  const text = key && key.length <= 18 ? key.toString('latin1') : ''
  return userId.test(text) ? text : null
}

/** Prefix of the keys of a topic's entries. */
export function indexPrefix(prefix: string, topic: string): string {
  return `${prefix === '' ? '' : `${prefix}/`}index/${topic}/`
}

/** @param etag not empty */
export function entryKey(prefix: string, key: ArchiveKey, etag: string): string {
  const hash = createHash('sha256').update(etag).digest('hex')
  const version = [
    hash.slice(0, 8),
    hash.slice(8, 12),
    hash.slice(12, 16),
    hash.slice(16, 20),
    hash.slice(20, 32),
  ]
  const name = objectKey('', key).split('/').at(-1)
  return `${indexPrefix(prefix, key.topic)}${key.date}/${name}-${version.join('-')}`
}

/** The object that an entry belongs to, or null if the key is not an entry's. */
export function parseEntryKey(prefix: string, topic: string, path: string): ArchiveKey | null {
  const [, date, name] =
    /^([^/]+)\/(.+)-[0-9a-f]{8}-[0-9a-f-]{27}$/.exec(path.slice(indexPrefix(prefix, topic).length)) ?? []
  return date && name ? parseObjectKey(`${topicPrefix('', topic)}date=${date}/${name}`) : null
}

/** Puts an entry, unless it exists. */
export async function putEntry(s3: S3, path: string, { lastOffset, users }: IndexEntry): Promise<void> {
  const body = await compress(Buffer.from(JSON.stringify({ lastOffset, users: [...users] })))
  await s3.putIfAbsent({
    key: path,
    open: () => Readable.from([body], { objectMode: false }),
    length: body.length,
    md5: createHash('md5').update(body).digest('base64'),
    contentType: 'application/zstd',
    metadata: {},
  })
}

/** Reads an entry; null if it is gone or not readable. @throws RetriableError when the store is away */
export async function readEntry(s3: S3, path: string): Promise<IndexEntry | null> {
  const body = await s3.get(path).catch((error) => {
    if (error instanceof Error && error.name === 'NoSuchKey') return null
    throw error
  })
  if (!body) return null
  const bytes = await buffer(body)
  try {
    const { lastOffset, users } = JSON.parse((await decompress(bytes)).toString())
    const isEntry = Number.isSafeInteger(lastOffset) && Array.isArray(users)
    return isEntry ? { lastOffset, users: new Set(users.map(String)) } : null
  } catch {
    return null
  }
}
