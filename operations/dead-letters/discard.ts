import type { Operator } from '../operator.ts'
import type { DecideOptions, Decider, LetterChoice } from './decide.ts'
import { decideOn } from './decide.ts'
import { noteDecision } from './decisions.ts'
import type { Letter } from './letter.ts'
import type { DecisionReport } from './report.ts'

/** Records that dead letters need no more care. */
export function discard(
  operator: Operator,
  choice: LetterChoice,
  options: DecideOptions & { note: string | null },
): Promise<DecisionReport> {
  const decider = {
    refusal: () => null,
    async carryOut(letters: Letter[]) {
      await noteDecision(await operator.postgres(), letters, { state: 'discarded', note: options.note })
      return []
    },
  } satisfies Decider
  return decideOn(operator, decider, { choice, options })
}
