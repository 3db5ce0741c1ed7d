import type { CliContext } from '../../cli/command.ts'
import { FloodError } from '../../lib/kafka/flood-valve.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { OperatorFault } from '../fault.ts'
import type { Run } from './journal.ts'
import { keepNotes } from './journal.ts'
import { withPatience } from './patience.ts'

/** One part of a run; reads all that is left of it, and may be called again after an outage. */
type Part = () => Promise<void>

export interface Undertaking {
  sql: Postgres
  run: Run
  signal: AbortSignal
  /** The command that goes on with the run. */
  resume: string
  /** Records to be read, for the progress line. */
  total: number
  /** The parts of the run, one after another. @param onRead so many more records have their effect */
  parts: (onRead: (records: number) => void) => AsyncIterable<Part>
}

/**
 * Carries a run out to its end or its interruption: waits outages out, notes down how far it comes, and says how to
 * go on with what was cut short.
 *
 * @returns how long it took, in milliseconds
 * @throws OperatorFault for a flood of dead letters; whatever else stopped it, as it is
 */
export async function carryOut(context: CliContext, undertaking: Undertaking): Promise<number> {
  const { sql, run, signal, resume, total, parts } = undertaking
  const { out } = context
  const progress = context.progress({ total, unit: 'records' })
  const startedAt = performance.now()
  const notes = keepNotes(sql, run)
  try {
    for await (const part of parts(progress.add)) {
      await withPatience(part, { progress: () => run.tally.read, say: out.say, signal })
    }
  } catch (error) {
    if (error instanceof FloodError) throw floodFault(run, resume)
    out.say(`Run ${run.id} was cut short. Go on with:\n  ${resume}`)
    throw error
  } finally {
    progress.end()
    await notes.end(!signal.aborted)
  }
  return Math.round(performance.now() - startedAt)
}

function floodFault(run: Run, resume: string): OperatorFault {
  const [example = ''] = run.tally.deadExamples
  return new OperatorFault(
    `Stopped: too many records become dead letters. ${example}`.trim(),
    `Mend the cause and go on: ${resume} (it may also publish none, see --help)`,
  )
}
