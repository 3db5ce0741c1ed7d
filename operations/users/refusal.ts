import type { Refusal } from '../../lib/spotify/budget.ts'
import type { Outcome } from '../../lib/spotify/outcome.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import type { TokenAnswer } from '../../lib/spotify/tokens.ts'
import { toSpan } from '../../lib/words.ts'
import { OperatorFault } from '../fault.ts'

const deadHints = {
  'refresh token': 'It is dead, or was given to another client id. Get a new one: songswap users connect',
  code: 'A code works once and for some minutes. Start again: songswap users connect',
} as const

/** The fault for a request that the budget refused: nothing was sent, so nothing is used up. */
export function toBudgetFault({ reason, detail, retryAfterMs }: Refusal): OperatorFault {
  const what =
    reason === 'paused' ? `Spotify asked for a pause (${detail})` : `The request budget is spent (${detail})`
  return new OperatorFault(what, `Nothing was asked. Try again in ${toSpan(retryAfterMs)}.`)
}

/** The fault for a code or refresh token that the token endpoint gave no tokens for. */
export function toTokenFault(
  shown: keyof typeof deadHints,
  answer: Exclude<TokenAnswer, { type: 'tokens' }>,
): OperatorFault {
  return answer.type === 'deferred' ? toBudgetFault(answer.refusal) : toRefusal(shown, answer.outcome)
}

function toRefusal(shown: keyof typeof deadHints, outcome: Outcome): OperatorFault {
  const what = `Spotify gives no tokens for this ${shown} (${describeOutcome(outcome)})`
  switch (outcome.type) {
    case 'invalid_grant':
      return new OperatorFault(what, deadHints[shown])
    case 'invalid_client':
      return new OperatorFault(what, 'SPOTIFY_CLIENT_ID or SPOTIFY_CLIENT_SECRET is wrong.')
    default:
      return new OperatorFault(what, 'Nothing was stored. Try again later.')
  }
}
