import type { ArchiveKey } from '../../lib/archive/key.ts'
import { archiveDate } from '../../lib/archive/key.ts'
import { checkpoint } from '../../lib/checkpoint.ts'
import { RetriableError } from '../../lib/errors.ts'
import { rowsOf } from './beaten-objects.ts'
import { holds } from './contents.ts'
import type { SealedObject } from './object-builder.ts'
import { archivedRow } from './row-format.ts'
import type { ArchiveStore } from './store.ts'

/** A sealed object, and how often its put was attempted. */
export interface SealedPut {
  object: SealedObject
  attempts: number
}

/** The result of a put. */
interface PutResult {
  /** The key was taken: by a twin, or by an earlier attempt whose answer was lost. */
  isTwin: boolean
  /** The archive holds the object's records up to this offset; before the first one if it holds none. */
  through: number
}

/** Puts an object, unless its key is taken. May be repeated after a failure. @throws RetriableError */
export async function putOnce(store: ArchiveStore, sealed: SealedPut): Promise<PutResult> {
  const { object } = sealed
  const key = keyOf(object)
  // An attempt whose answer was lost may have put the object: asking costs less than sending it again.
  const isThere = sealed.attempts++ > 0 && (await store.exists(key))
  const isTwin = isThere || (await store.put(key, object)) === 'exists'
  checkpoint('archiver.put')
  return { isTwin, through: isTwin ? await sharedThrough(store, key, object) : object.summary.lastOffset }
}

/**
 * The last of the object's records up to which a twin's object holds the same ones. Later records of the twin's
 * object may be of another log, so ours are not skipped for them.
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
