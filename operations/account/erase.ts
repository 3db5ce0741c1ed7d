import { OperatorFault } from '../fault.ts'
import type { Lease } from '../lease.ts'
import { withLease } from '../lease.ts'
import type { OnProgress, Operator } from '../operator.ts'
import { eraseFromArchive } from './erase-archive.ts'
import { countNotes, removeNotes } from './erase-notes.ts'
import { countRows, markErased, removeRows } from './erase-rows.ts'
import { putErasedMark } from './erased-marks.ts'
import { findOwner } from './find.ts'
import type { Owner, Receipt } from './report.ts'
import { findInTopics, readArchivedUpTo } from './topics.ts'

interface EraseOptions {
  /** If false, the receipt says what would be removed. */
  execute: boolean
  signal: AbortSignal
  /** Called before the first change: a run that is killed later leaves no receipt, and soon no Spotify id. */
  onBegin?: (owner: Owner) => void
  /** Counts objects of the archive. */
  onObjects?: OnProgress
  /** Counts records of the topics. */
  onRecords?: OnProgress
}

/**
 * Erases a user from the tables and from the archive. The topics keep the user's records; the loader drops them.
 *
 * @param user an id or a Spotify id
 * @throws OperatorFault when nothing of such a user exists, or another operator is erasing
 */
export async function erase(operator: Operator, user: string, options: EraseOptions): Promise<Receipt> {
  const { execute, signal } = options
  const sql = await operator.postgres()
  const owner = await findOwner(sql, user)
  const of = { owner, options }
  // An id that no user had must not be marked: a new user may get it.
  const isCertain = owner.spotifyId !== null || owner.erasedAt !== null
  if (!isCertain || !execute) {
    const found = await eraseAll(operator, of, null)
    if (!isCertain && isNothing(found)) {
      const hint = 'songswap users list shows them all.'
      throw new OperatorFault(`There is nothing of a user ${user} anywhere`, hint)
    }
    if (!execute) return found
  }
  options.onBegin?.(owner)
  return withLease(sql, { name: 'erase', signal }, (lease) => eraseAll(operator, of, lease))
}

/**
 * Sets the mark first: from then on loaders store nothing of the user.
 *
 * @param lease null for a dry run
 */
async function eraseAll(
  operator: Operator,
  { owner, options }: { owner: Owner; options: EraseOptions },
  lease: Lease | null,
): Promise<Receipt> {
  const [sql, broker, archive] = await Promise.all([
    operator.postgres(),
    operator.broker(),
    operator.archive(),
  ])
  const { signal, onObjects, onRecords } = options
  const at = new Date()
  if (lease) await markErased(sql, owner, signal)
  // Notes may name the Spotify id, which is gone with the rows: a later run knows only the id.
  const named = lease ? await removeNotes(sql, owner, { dead: [], deadFrom: new Map() }) : 0
  const { tables, polling } = lease
    ? await removeRows(sql, owner)
    : { tables: await countRows(sql, owner), polling: false }
  if (lease) await putErasedMark(archive, owner.id)
  const { archivedUpTo, ...inArchive } = await eraseFromArchive(archive, {
    ...{ topic: broker.topology.recentlyPlayed.name, owner, lease, signal, onProgress: onObjects },
    readArchivedUpTo: () => readArchivedUpTo(broker),
  })
  const found = await findInTopics(broker, owner, { archivedUpTo, signal, onProgress: onRecords })
  const notes = named + (await (lease ? removeNotes : countNotes)(sql, owner, found))
  const topics = { held: found.held, unarchived: found.unarchived }
  const [executed, { aborted }] = [lease !== null, signal]
  return { user: owner, executed, at, tables, notes, archive: inArchive, topics, polling, aborted }
}

function isNothing({ tables, archive, topics, aborted }: Receipt): boolean {
  const rows = Object.values(tables).reduce((n, count) => n + count, 0)
  const held = topics.held.reduce((n, t) => n + t.records, 0)
  return !aborted && rows + archive.records + held === 0
}
