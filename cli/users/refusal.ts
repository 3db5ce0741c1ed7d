import type { Outcome } from '../../lib/spotify/outcome.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import { CliFault } from '../fault.ts'

const deadHints = {
  'refresh token': 'It is dead, or was given to another client id. Get a new one: songswap users connect',
  code: 'A code works once and for some minutes. Start again: songswap users connect',
} as const

/** What to tell when the token endpoint gives no tokens for what it was shown. */
export function toRefusal(shown: keyof typeof deadHints, outcome: Outcome): CliFault {
  const what = `Spotify gives no tokens for this ${shown} (${describeOutcome(outcome)})`
  switch (outcome.type) {
    case 'invalid_grant':
      return new CliFault(what, deadHints[shown])
    case 'invalid_client':
      return new CliFault(what, 'SPOTIFY_CLIENT_ID or SPOTIFY_CLIENT_SECRET is wrong.')
    default:
      return new CliFault(what, 'Nothing was stored. Try again later.')
  }
}
