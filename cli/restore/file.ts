import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { PlayLine } from '../account/play-line.ts'
import { parsePlayLine } from '../account/play-line.ts'
import { openBroker } from '../broker.ts'
import type { CliContext } from '../command.ts'
import { openDatabase } from '../database.ts'
import { CliFault, describe } from '../fault.ts'
import { interruption } from '../interrupt.ts'
import { openProgress } from '../progress.ts'
import { loaderSinks } from '../rerun/loader-sinks.ts'
import { withPatience } from '../rerun/patience.ts'
import { report } from '../rerun/report.ts'
import { addDeadLetters, emptyTally } from '../rerun/tally.ts'
import type { RestoreOptions } from '../restore.ts'
import { toPlural } from '../words.ts'
import { toPages } from './pages.ts'

const playsAtATime = 2_000
const faultsShown = 10

/** Loads plays from a file of `songswap account export`. @returns an exit code */
export async function restoreFile(
  context: CliContext,
  path: string,
  options: RestoreOptions,
): Promise<number> {
  const { out, scope, log } = context
  const sql = await openDatabase(context)
  const { topology } = await openBroker(context)
  const signal = interruption(scope)
  const tally = emptyTally()
  const group = topology.groups.loaderHistory
  const sink = loaderSinks({ group, topology, sql, log, tally })(topology.recentlyPlayed.name, 0, signal)
  const progress = openProgress({ total: null, unit: 'plays' })
  const startedAt = Date.now()
  const faults: string[] = []
  let plays = 0
  for await (const portion of readPortions(openFile(path), { options, faults })) {
    if (signal.aborted) break
    plays += portion.length
    progress.add(portion.length)
    if (options.execute) await load(toPages(portion, topology.recentlyPlayed.name))
  }
  progress.end()

  async function load(records: DecodedRecord<SpotifyResponse>[]): Promise<void> {
    const write = async () => {
      const { deadLetters } = await sink.write(records)
      addDeadLetters(tally, deadLetters)
      tally.read += records.length
    }
    await withPatience(write, { progress: () => tally.read, say: out.say, signal })
  }

  for (const fault of faults.slice(0, faultsShown)) out.say(fault)
  if (faults.length > faultsShown) out.say(`… and ${toPlural(faults.length - faultsShown, 'line')} more.`)
  const isWhole = faults.length === 0 && !signal.aborted
  if (!options.execute) {
    if (out.json) out.printJson({ executed: false, plays, faults })
    else out.print(`Nothing was changed. Load ${toPlural(plays, 'play')} with: --execute`)
    return isWhole ? exitCodes.stopped : exitCodes.fault
  }
  const run = { id: 0, plan: { stretches: [], choice: {} }, tally }
  const resume = 'the same command: what is stored stays'
  const [ms, aborted] = [Date.now() - startedAt, signal.aborted]
  report(context, { run, kind: 'rows', options: { deadLetters: false }, ms, aborted, resume })
  return isWhole ? exitCodes.stopped : exitCodes.fault
}

function openFile(path: string): Readable {
  return path === '-' ? process.stdin : createReadStream(path)
}

/** Reads lines; what is no play is named in `faults`, with its number. @throws CliFault when the file cannot be read */
async function* readPortions(
  source: Readable,
  { options, faults }: { options: RestoreOptions; faults: string[] },
): AsyncGenerator<PlayLine[]> {
  let [portion, number]: [PlayLine[], number] = [[], 0]
  const failed = new Promise<never>((_, reject) => source.once('error', reject))
  failed.catch(() => undefined)
  const lines = createInterface({ input: source, crlfDelay: Number.POSITIVE_INFINITY })[
    Symbol.asyncIterator
  ]()
  for (;;) {
    const next = await Promise.race([lines.next(), failed]).catch((cause) => {
      throw new CliFault(`The file cannot be read: ${describe(cause)}`, 'Is the path right?', { cause })
    })
    if (next.done) break
    number++
    if (next.value.trim() === '') continue
    const parsed = parsePlayLine(next.value)
    if (parsed.type === 'fault') faults.push(`Line ${number}: ${parsed.reason}`)
    else if (options.user === undefined || parsed.play.userId === String(options.user)) {
      portion.push(options.as === undefined ? parsed.play : { ...parsed.play, userId: String(options.as) })
    }
    if (portion.length < playsAtATime) continue
    yield portion
    portion = []
  }
  if (portion.length > 0) yield portion
}
