import type { Readable } from 'node:stream'
import { writeCatalogue } from '../../services/loader/catalogue-store.ts'
import { restoreErasedMarks } from '../account/erased-marks.ts'
import type { PlayLine } from '../account/play-line.ts'
import { parsePlayLine } from '../account/play-line.ts'
import { describe, OperatorFault } from '../fault.ts'
import type { Operator } from '../operator.ts'
import { noteFile } from './journal.ts'
import { loaderSinks, readSureTime } from './loader-sinks.ts'
import { continueUserIds } from './lost-users.ts'
import { withPatience } from './patience.ts'
import { toFacts } from './play-facts.ts'
import { toPages } from './play-pages.ts'
import type { FilePlan } from './restore-report.ts'
import type { RerunOptions, RerunReport } from './run.ts'
import { toReport } from './run.ts'
import type { Tally } from './tally.ts'
import { addDeadLetters, emptyTally } from './tally.ts'

const playsAtATime = 2_000

export interface FileChoice {
  /** Opens the output of `songswap account export`. */
  open: () => Readable
  /** Only the plays of this user, or null for all. */
  user: number | null
  /** Loads the plays as this user's, or if null as those of the user that each line names. */
  as: number | null
}

/** Loads plays from an export. @returns also faulty lines, and whether the export was read to its end */
export async function restoreFile(
  operator: Operator,
  choice: FileChoice,
  options: RerunOptions,
): Promise<{ report: FilePlan | RerunReport; faults: string[]; isWhole: boolean }> {
  const { execute, signal, onProgress } = options
  const sql = await operator.postgres()
  if (execute) {
    await restoreErasedMarks(await operator.archive(), sql)
    await noteFile(sql)
  }
  const tally = emptyTally()
  const load = await openLoad(operator, tally, options)
  const startedAt = performance.now()
  const faults: string[] = []
  let plays = 0
  for await (const portion of readPortions(choice, { faults, signal })) {
    plays += portion.length
    if (execute) await load(portion)
    onProgress?.(plays, null)
  }
  const isWhole = !signal.aborted
  if (!execute) return { report: { executed: false, plays, faults }, faults, isWhole }
  const report = toReport({ id: 0, plan: { stretches: [], choice: {} }, tally }, { startedAt, signal })
  await continueUserIds(sql)
  return { report, faults, isWhole }
}

/** Returns a function that loads plays by the loader's handler and waits outages out. */
async function openLoad(
  operator: Operator,
  tally: Tally,
  options: RerunOptions,
): Promise<(plays: PlayLine[]) => Promise<void>> {
  const [sql, { topology }] = await Promise.all([operator.postgres(), operator.broker()])
  const { name } = topology.recentlyPlayed
  const rerun = { sureTime: await readSureTime(sql) }
  const parts = { group: topology.groups.loaderHistory, topology, sql, log: operator.log, tally, rerun }
  const sink = loaderSinks(parts)(name, 0, options.signal)
  return async (plays) => {
    const pages = toPages(plays, name)
    const facts = toFacts(plays)
    const write = async () => {
      const { rows } = await sql.transaction((tx) => writeCatalogue(tx, facts, 'newer'))
      tally.catalogueRows += rows
      const { deadLetters } = await sink.write(pages)
      addDeadLetters(tally, deadLetters)
      tally.read += pages.length
    }
    await withPatience(write, { ...options, progress: () => tally.read })
  }
}

/**
 * Reads lines until their end or the abort; adds lines that are not plays to `faults`, with their number.
 *
 * @throws OperatorFault when the file cannot be read
 */
async function* readPortions(
  { open, user, as }: FileChoice,
  { faults, signal }: { faults: string[]; signal: AbortSignal },
): AsyncGenerator<PlayLine[]> {
  let [portion, number]: [PlayLine[], number] = [[], 0]
  for await (const line of readLines(open(), signal)) {
    number++
    if (line.trim() === '') continue
    const parsed = parsePlayLine(line)
    if (parsed.type === 'fault') faults.push(`Line ${number}: ${parsed.reason}`)
    else if (user === null || parsed.play.userId === String(user)) {
      portion.push(as === null ? parsed.play : { ...parsed.play, userId: String(as) })
    }
    if (portion.length < playsAtATime) continue
    yield portion
    portion = []
  }
  if (portion.length > 0 && !signal.aborted) yield portion
}

async function* readLines(source: Readable, signal: AbortSignal): AsyncGenerator<string> {
  // A read from an idle terminal would otherwise delay Ctrl-C.
  signal.addEventListener('abort', () => source.destroy(), { once: true })
  try {
    let rest = ''
    for await (const chunk of source.setEncoding('utf8')) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      yield* lines
    }
    yield rest
  } catch (cause) {
    if (signal.aborted) return
    throw new OperatorFault(`The file cannot be read: ${describe(cause)}`, 'Is the path right?', { cause })
  }
}
