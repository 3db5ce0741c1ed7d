import { exitCodes } from '../../lib/lifecycle.ts'
import { toPlural } from '../../lib/words.ts'
import type { DecisionReport } from '../../operations/dead-letters/report.ts'
import type { Output } from '../terminal/output.ts'
import { toPrintable } from '../terminal/table.ts'
import { toGroupTable } from './groups.ts'

const failuresShown = 10

/** Prints a decision that was made or planned; returns the exit code. */
export function reportDecision(
  out: Output,
  report: DecisionReport,
  words: { infinitive: string; done: string },
): number {
  if (out.json) out.printJson(report)
  else printDecision(out, report, words)
  return report.failures.length > 0 || report.aborted ? exitCodes.fault : exitCodes.stopped
}

function printDecision(
  out: Output,
  { executed, done, groups, failures, decided, aborted }: DecisionReport,
  words: { infinitive: string; done: string },
): void {
  if (groups.length > 0) out.print(toGroupTable(groups, { width: out.width, counts: 'chosen' }).join('\n'))
  for (const { place, reason } of failures.slice(0, failuresShown)) {
    out.say(`${place} cannot be ${words.done}: ${toPrintable(reason)}`)
  }
  if (failures.length > failuresShown) out.say(`… and ${failures.length - failuresShown} more.`)
  for (const { place, state } of decided) out.say(`${place} is ${state} already.`)
  const what = toPlural(done, 'dead letter')
  if (aborted) out.say('Interrupted: what was not reached is open as before.')
  if (executed) out.say(`${what} ${words.done}.`)
  else if (done === 0) out.say('There are none to deal with.')
  else out.say(`Nothing was changed. ${words.infinitive} ${what} with: --execute`)
}
