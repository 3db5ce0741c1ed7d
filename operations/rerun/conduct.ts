import { Scope } from '../../lib/scope.ts'
import { within } from '../../lib/time-limit.ts'
import type { Verdicts } from '../../services/loader/claim-store.ts'
import type { Operator } from '../operator.ts'
import type { OpenRun, Plan, Resume, Run, RunName } from './journal.ts'
import { beginRun, openRuns, resumeRun } from './journal.ts'
import type { Judged, Removals } from './removals.ts'
import { judgePlays, refuseMany } from './removals.ts'
import type { Rerun, RerunOptions, RerunReport } from './run.ts'
import { carryOut } from './run.ts'
import { emptyTally } from './tally.ts'

/** Closing waits no longer than this, so a broker that is away does not delay the report. */
const closeWithinMs = 1_000

export interface Opening {
  scope: Scope
  verdicts: Verdicts | undefined
}

/** The steps in which a replay and a restore differ. */
export interface Conducted<P> {
  name: RunName
  resume: Resume
  plan: () => Promise<Plan>
  /** The part of the run that may remove plays, or null if none can. */
  judge: (run: Run) => Promise<Judged | null>
  /** Reports what a run would do. */
  show: (run: Run, of: { unfinished: OpenRun[]; unclaimed: Removals | null }) => Promise<P>
  /** Opens what the run needs; the scope closes it. */
  open: (run: Run, of: Opening) => Promise<Omit<Rerun, 'run' | 'name'>>
}

/**
 * Plans a rerun or resumes one that was cut short, judges which plays it would remove, and with `execute` carries it
 * out. Only then does it write the run to the journal, so a refused run leaves no trace.
 */
export async function conduct<P>(
  operator: Operator,
  { name, resume, plan, judge, show, open }: Conducted<P>,
  options: RerunOptions,
): Promise<P | RerunReport> {
  const sql = await operator.postgres()
  const known = resume === null ? null : await resumeRun(sql, name, { id: resume, execute: false })
  const planned = known ?? { id: 0, plan: await plan(), tally: emptyTally() }
  const judged = await judge(planned)
  const found = judged && (await judgePlays(operator, judged, options))
  if (!options.execute) {
    const unfinished = known ? [] : await openRuns(sql, name)
    return show(planned, { unfinished, unclaimed: found?.removals ?? null })
  }
  if (found) refuseMany(found.removals)
  const run = known
    ? await resumeRun(sql, name, { id: known.id, execute: true })
    : await beginRun(sql, name, planned)
  const scope = new Scope(operator.log)
  try {
    const rerun = await open(run, { scope, verdicts: found?.verdicts })
    return await carryOut(operator, { name, run, ...rerun }, options)
  } finally {
    await within(closeWithinMs, scope.close())
  }
}
