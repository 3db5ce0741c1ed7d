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

/** A broker that is away does not hold the report up. */
const closeWithinMs = 1_000

export interface Opening {
  scope: Scope
  verdicts: Verdicts | undefined
}

/** What differs between a replay and a restore. */
export interface Conducted<P> {
  name: RunName
  resume: Resume
  plan: () => Promise<Plan>
  /** What of the run may remove plays; null: nothing. */
  judge: (run: Run) => Promise<Judged | null>
  /** What a run would do. */
  show: (run: Run, of: { unfinished: OpenRun[]; unclaimed: Removals | null }) => Promise<P>
  /** Opens what carries the run out; it ends with the scope. */
  open: (run: Run, of: Opening) => Promise<Omit<Rerun, 'run' | 'name'>>
}

/**
 * Plans a rerun or takes up one that was cut short, judges what it would remove, and carries it out where it is to be
 * executed. The run is noted down only then: what is refused leaves nothing behind.
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
