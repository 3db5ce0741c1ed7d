import type { Command } from 'commander'
import { entryKey, putEntry } from '../../lib/archive/user-index.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toPlural } from '../../lib/words.ts'
import { atATime } from '../../operations/account/at-a-time.ts'
import { readContents } from '../../operations/account/erase-object.ts'
import type { EraserLease } from '../../operations/account/eraser-lease.ts'
import { takeEraserLease } from '../../operations/account/eraser-lease.ts'
import type { IndexedObject } from '../../operations/account/user-index.ts'
import { dropOrphans, listIndexed } from '../../operations/account/user-index.ts'
import type { Archive } from '../../operations/operator.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import type { Output } from '../terminal/output.ts'
import type { Progress } from '../terminal/progress.ts'
import { toPrintable } from '../terminal/table.ts'

interface Options {
  execute?: true
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Makes the index that says which object of the archive holds which users: opens the objects that it does not name, and drops entries of objects that are no more. Shows what it would do; does it with --execute.',
    )
    .option('--execute', 'do it')
  act<Options>(command, run, indexUsers)
  examples(command, ['songswap account index', 'songswap account index --execute'])
  notes(command, [
    'The archiver writes an entry after each object, and erase believes what an entry says; an object without one is opened. So a missing index costs time and nothing else: run this once for an archive from before there was one, or after it was copied to another bucket.',
  ])
}

const objectsAtATime = 4

/** What was found, and done. */
interface Outcome {
  objects: number
  /** Objects without an entry. */
  unnamed: number
  /** Entries without an object. */
  orphans: number
  written: number
  damaged: string[]
}

async function indexUsers(context: CliContext, { execute }: Options): Promise<number> {
  const { out } = context
  const [sql, broker, archive] = await Promise.all([
    context.operator.postgres(),
    context.operator.broker(),
    context.operator.archive(),
  ])
  const signal = context.interruption()
  const lease = execute ? await takeEraserLease(sql, signal) : null
  try {
    const listing = await listIndexed(archive, broker.topology.recentlyPlayed.name)
    const unnamed = listing.objects.filter(({ entry }) => entry === null)
    const [objects, orphans] = [listing.objects.length, listing.orphans.length]
    const outcome: Outcome = { objects, unnamed: unnamed.length, orphans, written: 0, damaged: [] }
    if (lease) {
      await writeEntries(archive, unnamed, {
        lease,
        signal,
        outcome,
        progress: context.progress({ total: unnamed.length, unit: 'objects' }),
      })
      if (!signal.aborted) await dropOrphans(archive, listing)
    }
    const executed = lease !== null
    if (out.json) out.printJson({ executed, ...outcome, aborted: signal.aborted })
    else tell(out, outcome, executed)
    return signal.aborted || outcome.damaged.length > 0 ? exitCodes.fault : exitCodes.stopped
  } finally {
    await lease?.release()
  }
}

async function writeEntries(
  { s3, prefix }: Archive,
  unnamed: readonly IndexedObject[],
  {
    lease,
    signal,
    outcome,
    progress,
  }: { lease: EraserLease; signal: AbortSignal; outcome: Outcome; progress: Progress },
): Promise<void> {
  await atATime(objectsAtATime, unnamed, async ({ key, path }) => {
    if (signal.aborted) return
    const contents = await readContents(s3, path, null)
    progress.add(1)
    if (!contents) outcome.damaged.push(path)
    if (!contents?.etag) return
    lease.assertHeld()
    await putEntry(s3, entryKey(prefix, key, contents.etag), contents)
    outcome.written++
  })
  progress.end()
}

function tell(
  out: Output,
  { objects, unnamed, orphans, written, damaged }: Outcome,
  executed: boolean,
): void {
  out.print(
    `${toPlural(objects, 'object')}: ${unnamed} without an entry; ${orphans} left over without an object.`,
  )
  for (const path of damaged) out.say(`Not readable: ${toPrintable(path)}`)
  if (executed) out.say(`Entries written: ${written}.`)
  else if (unnamed + orphans > 0) out.say('Nothing was changed. Do it with: --execute')
}
