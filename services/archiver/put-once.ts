import type { ArchiveKey } from '../../lib/archive/key.ts'
import { archiveDate } from '../../lib/archive/key.ts'
import { checkpoint } from '../../lib/checkpoint.ts'
import { RetriableError } from '../../lib/errors.ts'
import { rowsOf } from './beaten-objects.ts'
import { holds } from './contents.ts'
import type { SealedObject } from './object-builder.ts'
import { archivedRow } from './row-format.ts'
import type { ArchiveStore } from './store.ts'

/** An object whose put is missing. */
export interface SealedPut {
  object: SealedObject
  attempts: number
}

/** Where a put has led. */
interface PutResult {
  /** The key was taken: by a twin, or by an earlier attempt whose answer was lost. */
  isTwin: boolean
  /** The last offset up to which the archive holds the object's records; before its first one if it holds none. */
  through: number
}

/** Puts an object, unless its key is taken. May be repeated after a failure. @throws RetriableError */
export async function putOnce(store: ArchiveStore, sealed: SealedPut): Promise<PutResult> {
  const { object } = sealed
  const key = keyOf(object)
  // After a put whose answer was lost the object is there: asking costs less than sending it once more.
  const isThere = sealed.attempts++ > 0 && (await store.exists(key))
  const isTwin = isThere || (await store.put(key, object)) === 'exists'
  checkpoint('archiver.put')
  return { isTwin, through: isTwin ? await sharedThrough(store, key, object) : object.summary.lastOffset }
}

/**
 * The last of the object's records up to which a twin's object holds the same. What the twin's holds beyond them is
 * not ours to skip: it may be of another log.
 */
async function sharedThrough(store: ArchiveStore, key: ArchiveKey, object: SealedObject): Promise<number> {
  const last = await store.lastOffset(key)
  if (last < object.first.offset) {
    const place = `${key.topic}/${key.partition}/${key.firstOffset}`
    throw new RetriableError(`The object at ${place} ends before it begins`)
  }
  const contents = await store.contents(key)
  let through = object.first.offset - 1
  for await (const row of rowsOf(object)) {
    if (row.offset > last || !holds(contents, archivedRow(row, object.format))) break
    through = row.offset
  }
  return through
}

function keyOf({ first, summary: { incarnation } }: SealedObject): ArchiveKey {
  const { topic, partition, offset, timestamp } = first
  const date = archiveDate(timestamp)
  return { topic, partition, firstOffset: offset, date, ...(incarnation && { incarnation }) }
}
