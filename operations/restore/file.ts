import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import type { CliContext } from '../../cli/command.ts'
import type { RestoreOptions } from '../../cli/restore.ts'
import type { Terminal } from '../../cli/terminal/terminal.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { toPlural } from '../../lib/words.ts'
import { writeCatalogue } from '../../services/loader/catalogue-store.ts'
import { restoreErasedMarks } from '../account/erased-marks.ts'
import type { PlayLine } from '../account/play-line.ts'
import { parsePlayLine } from '../account/play-line.ts'
import { describe, OperatorFault } from '../fault.ts'
import { noteFile } from '../rerun/journal.ts'
import { loaderSinks, readSureTime } from '../rerun/loader-sinks.ts'
import { withPatience } from '../rerun/patience.ts'
import { report } from '../rerun/report.ts'
import type { Tally } from '../rerun/tally.ts'
import { addDeadLetters, emptyTally } from '../rerun/tally.ts'
import { afterRestore } from './after.ts'
import { toFacts } from './facts.ts'
import { toPages } from './pages.ts'

const playsAtATime = 2_000
const faultsShown = 10

/** Loads plays from a file of `songswap account export`. @returns an exit code */
export async function restoreFile(
  context: CliContext,
  path: string,
  options: RestoreOptions,
): Promise<number> {
  const { out } = context
  const sql = await context.operator.postgres()
  if (options.execute) {
    await restoreErasedMarks(await context.operator.archive(), sql)
    await noteFile(sql)
  }
  const signal = context.interruption()
  const tally = emptyTally()
  const load = await openLoad(context, { sql, tally, signal })
  const progress = context.progress({ total: null, unit: 'plays' })
  const startedAt = performance.now()
  const faults: string[] = []
  let plays = 0
  for await (const portion of readPortions(openFile(context.terminal, path), { options, faults, signal })) {
    plays += portion.length
    if (options.execute) await load(portion)
    progress.add(portion.length)
  }
  progress.end()

  for (const fault of faults.slice(0, faultsShown)) out.say(fault)
  if (faults.length > faultsShown) out.say(`… and ${toPlural(faults.length - faultsShown, 'line')} more.`)
  const isWhole = faults.length === 0 && !signal.aborted
  const code = isWhole ? exitCodes.stopped : exitCodes.fault
  if (!options.execute) {
    if (out.json) out.printJson({ executed: false, plays, faults })
    else out.print(`Nothing was changed. Load ${toPlural(plays, 'play')} with: --execute`)
    return code
  }
  const run = { id: 0, plan: { stretches: [], choice: {} }, tally }
  const resume = 'the same command: what is stored stays'
  const [ms, aborted] = [Math.round(performance.now() - startedAt), signal.aborted]
  report(context, { run, kind: 'rows', options: { deadLetters: false }, ms, aborted, resume })
  await afterRestore(context, sql)
  return code
}

/** Loads plays by the handler of the loader, and waits outages out. */
async function openLoad(
  context: CliContext,
  { sql, tally, signal }: { sql: Postgres; tally: Tally; signal: AbortSignal },
): Promise<(plays: PlayLine[]) => Promise<void>> {
  const { topology } = await context.operator.broker()
  const { name } = topology.recentlyPlayed
  const rerun = { sureTime: await readSureTime(sql) }
  const parts = { group: topology.groups.loaderHistory, topology, sql, log: context.log, tally, rerun }
  const sink = loaderSinks(parts)(name, 0, signal)
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
    await withPatience(write, { progress: () => tally.read, say: context.out.say, signal })
  }
}

function openFile({ stdin }: Terminal, path: string): Readable {
  return path === '-' ? stdin : createReadStream(path)
}

/**
 * Reads lines until the end or Ctrl-C; what is no play is named in `faults`, with its number.
 *
 * @throws OperatorFault when the file cannot be read
 */
async function* readPortions(
  source: Readable,
  { options, faults, signal }: { options: RestoreOptions; faults: string[]; signal: AbortSignal },
): AsyncGenerator<PlayLine[]> {
  let [portion, number]: [PlayLine[], number] = [[], 0]
  for await (const line of readLines(source, signal)) {
    number++
    if (line.trim() === '') continue
    const parsed = parsePlayLine(line)
    if (parsed.type === 'fault') faults.push(`Line ${number}: ${parsed.reason}`)
    else if (options.user === undefined || parsed.play.userId === String(options.user)) {
      portion.push(options.as === undefined ? parsed.play : { ...parsed.play, userId: String(options.as) })
    }
    if (portion.length < playsAtATime) continue
    yield portion
    portion = []
  }
  if (portion.length > 0 && !signal.aborted) yield portion
}

async function* readLines(source: Readable, signal: AbortSignal): AsyncGenerator<string> {
  // A terminal on which nobody types would hold a Ctrl-C up.
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
