import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { Broker } from '../broker.ts'
import { openBroker } from '../broker.ts'
import type { CliContext } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { openDatabase } from '../database.ts'
import { CliFault } from '../fault.ts'
import { interruption } from '../interrupt.ts'
import { openProgress } from '../progress.ts'
import type { Archive } from '../restore/objects.ts'
import { openArchive } from '../restore/plan.ts'
import { eraseFromArchive } from './erase-archive.ts'
import { countRows, removeRows } from './erase-rows.ts'
import { putErasedMark } from './erased-marks.ts'
import type { Owner } from './find.ts'
import { findOwner } from './find.ts'
import type { Receipt } from './receipt.ts'
import { toReceiptLines } from './receipt.ts'
import { findInTopics, readArchivedUpTo } from './topics.ts'

interface Options {
  execute?: true
}

export function define(command: Command): void {
  command
    .description(
      'Erases a user: rows of every table, tokens, and their rows in the objects of the archive, which are written anew without them. Says what the topics still hold and until when. Shows what it would do; does it with --execute, and the output is the receipt.',
    )
    .option('--execute', 'do it; there is no way back')
  act<Options>(command, erase)
  examples(command, [
    'songswap account export 7 > plays.ndjson',
    'songswap account erase 7',
    'songswap account erase 7 --execute > receipt.txt',
  ])
  notes(command, [
    "It reads the whole archive. From the first moment on the loader drops whatever the topics still hold of the user, also in a replay or a restore; the id is never given again. Tracks, albums and artists are nobody's and stay.",
    'Pages that the archiver has not put into objects yet are named: run the command again later, as often as you like, and it exits with 0 when nothing is left to do.',
    'A bucket that keeps versions keeps the old ones: its lifecycle rules have to remove them.',
  ])
}

async function erase(context: CliContext, options: Options, user = ''): Promise<number> {
  const { scope } = context
  const [sql, broker, archive] = await Promise.all([
    openDatabase(context),
    openBroker(context),
    openArchive(context),
  ])
  const owner = await findOwner(sql, user)
  const signal = interruption(scope)
  const execute = options.execute ?? false
  const parts = { sql, broker, archive, owner, signal }
  // An id that nobody had must not be marked: it may be given to somebody.
  const isCertain = owner.spotifyId !== null || owner.erasedAt !== null
  if (!isCertain || !execute) {
    const found = await eraseAll({ ...parts, execute: false })
    if (!isCertain && isNothing(found)) throw unknown(user)
    if (!execute) return tell(context, found)
  }
  // Whoever is killed from here on leaves no receipt, and soon no Spotify id that leads to the user.
  context.out.say(
    `Erasing user ${owner.id}. If it is cut short: songswap account erase ${owner.id} --execute`,
  )
  return tell(context, await asOnlyEraser(sql, () => eraseAll({ ...parts, execute })))
}

function tell({ out }: CliContext, receipt: Receipt): number {
  if (out.json) out.printJson(receipt)
  else out.print(toReceiptLines(receipt, out.width).join('\n'))
  const { executed, topics, archive, polling, aborted } = receipt
  const isLeft = executed && (topics.unarchived > 0 || polling || archive.damaged.length > 0)
  return aborted || isLeft ? exitCodes.fault : exitCodes.stopped
}

interface Erasing {
  sql: Postgres
  broker: Broker
  archive: Archive
  owner: Owner
  execute: boolean
  signal: AbortSignal
}

/** The rows first: from then on nothing of the user is loaded again. */
async function eraseAll(erasing: Erasing): Promise<Receipt> {
  const { sql, broker, owner, execute, signal } = erasing
  const at = new Date()
  const { tables, polling } = execute
    ? await removeRows(sql, owner)
    : { tables: await countRows(sql, owner), polling: false }
  if (execute) await putErasedMark(erasing.archive, owner.id)
  const archivedUpTo = await readArchivedUpTo(broker)
  const objects = openProgress({ total: null, unit: 'objects' })
  const topic = broker.topology.recentlyPlayed.name
  const onObject = () => objects.add(1)
  const archive = await eraseFromArchive(erasing.archive, { topic, owner, execute, signal, onObject })
  objects.end()
  const records = openProgress({ total: null, unit: 'records' })
  const topics = await findInTopics(broker, owner, { archivedUpTo, signal, onRecords: records.add })
  records.end()
  return { user: owner, executed: execute, at, tables, archive, topics, polling, aborted: signal.aborted }
}

function isNothing({ tables, archive, topics, aborted }: Receipt): boolean {
  const rows = Object.values(tables).reduce((n, count) => n + count, 0)
  const held = topics.held.reduce((n, t) => n + t.records, 0)
  return !aborted && rows + archive.records + held === 0
}

function unknown(user: string): CliFault {
  return new CliFault(`There is nothing of a user ${user} anywhere`, 'songswap users list shows them all.')
}

/** Two who rewrite the same object would undo one another: one at a time, until the connection ends. */
const eraserLock = 7_241_865_325_823_966

function asOnlyEraser<T>(postgres: Postgres, work: () => Promise<T>): Promise<T> {
  return postgres.transaction(async (sql) => {
    // The transaction does nothing but hold the lock; a long erasure is no idle one.
    await sql.query('set local idle_in_transaction_session_timeout = 0')
    const { rows } = await sql.query<{ taken: boolean }>('select pg_try_advisory_xact_lock($1) as taken', [
      eraserLock,
    ])
    if (rows[0]?.taken) return work()
    throw new CliFault('Somebody else is erasing a user right now', 'Try again when they are done.')
  })
}
