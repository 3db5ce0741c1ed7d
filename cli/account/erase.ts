import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { eraseFromArchive } from '../../operations/account/erase-archive.ts'
import { countNotes, removeNotes } from '../../operations/account/erase-notes.ts'
import { countRows, markErased, removeRows } from '../../operations/account/erase-rows.ts'
import { putErasedMark } from '../../operations/account/erased-marks.ts'
import type { EraserLease } from '../../operations/account/eraser-lease.ts'
import { takeEraserLease } from '../../operations/account/eraser-lease.ts'
import type { Owner } from '../../operations/account/find.ts'
import { findOwner } from '../../operations/account/find.ts'
import type { Receipt } from '../../operations/account/receipt.ts'
import { toIncomplete, toReceiptLines } from '../../operations/account/receipt.ts'
import { findInTopics, readArchivedUpTo } from '../../operations/account/topics.ts'
import { OperatorFault } from '../../operations/fault.ts'
import type { Archive, Broker } from '../../operations/operator.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'

interface Options {
  execute?: true
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Erases a user: rows of every table, tokens, and their rows in the objects of the archive, which are written anew without them. Says what the topics still hold and until when. Shows what it would do; does it with --execute, and the output is the receipt.',
    )
    .option('--execute', 'do it; there is no way back')
  act<Options>(command, run, erase)
  examples(command, [
    'songswap account export 7 > plays.ndjson',
    'songswap account erase 7',
    'songswap account erase 7 --execute > receipt.txt',
  ])
  notes(command, [
    "It reads the objects of the archive that hold the user by their index, and all objects that have no entry there (songswap account index makes them). From the first moment on the loader drops whatever the topics still hold of the user, also in a replay or a restore; the id is never given again. Tracks, albums and artists are nobody's and stay.",
    'Pages that the archiver has not put into objects yet are named: run the command again later, as often as you like, and it exits with 0 when nothing is left to do.',
    'A bucket that keeps versions keeps the old ones: its lifecycle rules have to remove them.',
  ])
}

async function erase(context: CliContext, options: Options, user = ''): Promise<number> {
  const [sql, broker, archive] = await Promise.all([
    context.operator.postgres(),
    context.operator.broker(),
    context.operator.archive(),
  ])
  const owner = await findOwner(sql, user)
  const signal = context.interruption()
  const execute = options.execute ?? false
  const parts = { sql, broker, archive, owner, signal, progress: context.progress }
  // An id that nobody had must not be marked: it may be given to somebody.
  const isCertain = owner.spotifyId !== null || owner.erasedAt !== null
  if (!isCertain || !execute) {
    const found = await eraseAll(parts, null)
    if (!isCertain && isNothing(found)) throw unknown(user)
    if (!execute) return tell(context, found)
  }
  // Whoever is killed from here on leaves no receipt, and soon no Spotify id that leads to the user.
  context.out.say(
    `Erasing user ${owner.id}. If it is cut short: songswap account erase ${owner.id} --execute`,
  )
  const lease = await takeEraserLease(sql, signal)
  try {
    return tell(context, await eraseAll(parts, lease))
  } finally {
    await lease.release()
  }
}

function tell({ out }: CliContext, receipt: Receipt): number {
  if (out.json) out.printJson(receipt)
  else out.print(toReceiptLines(receipt, out.width).join('\n'))
  const isLeft = receipt.executed && toIncomplete(receipt).length > 0
  return receipt.aborted || isLeft ? exitCodes.fault : exitCodes.stopped
}

interface Erasing {
  sql: Postgres
  broker: Broker
  archive: Archive
  owner: Owner
  signal: AbortSignal
  progress: CliContext['progress']
}

/**
 * The mark first: from then on nothing of the user is loaded again.
 *
 * @param lease null: nothing is changed
 */
async function eraseAll(erasing: Erasing, lease: EraserLease | null): Promise<Receipt> {
  const { sql, broker, owner, signal } = erasing
  const at = new Date()
  if (lease) await markErased(sql, owner, signal)
  // While the Spotify id is known: a run that goes on by the id does not know it.
  const named = lease ? await removeNotes(sql, owner, { dead: [], deadFrom: new Map() }) : 0
  const { tables, polling } = lease
    ? await removeRows(sql, owner)
    : { tables: await countRows(sql, owner), polling: false }
  if (lease) await putErasedMark(erasing.archive, owner.id)
  const objects = erasing.progress({ total: null, unit: 'objects' })
  const topic = broker.topology.recentlyPlayed.name
  const onObject = () => objects.add(1)
  const { archivedUpTo, ...archive } = await eraseFromArchive(erasing.archive, {
    ...{ topic, owner, lease, signal, onObject },
    readArchivedUpTo: () => readArchivedUpTo(broker),
  })
  objects.end()
  const records = erasing.progress({ total: null, unit: 'records' })
  const { held, unarchived, ...letters } = await findInTopics(broker, owner, {
    ...{ archivedUpTo, signal, onRecords: records.add },
  })
  records.end()
  const notes = named + (await (lease ? removeNotes : countNotes)(sql, owner, letters))
  const topics = { held, unarchived }
  const [executed, { aborted }] = [lease !== null, signal]
  return { user: owner, executed, at, tables, notes, archive, topics, polling, aborted }
}

function isNothing({ tables, archive, topics, aborted }: Receipt): boolean {
  const rows = Object.values(tables).reduce((n, count) => n + count, 0)
  const held = topics.held.reduce((n, t) => n + t.records, 0)
  return !aborted && rows + archive.records + held === 0
}

function unknown(user: string): OperatorFault {
  return new OperatorFault(
    `There is nothing of a user ${user} anywhere`,
    'songswap users list shows them all.',
  )
}
