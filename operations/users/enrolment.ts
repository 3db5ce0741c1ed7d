import { parseEnv, postgresEnv, spotifyEnv, tokenKeysEnv } from '../../lib/config.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { Gateway } from '../../lib/spotify/gateway.ts'
import type { RequestLane } from '../../lib/spotify/outcome.ts'
import type { Permit, Permits } from '../../lib/spotify/permit.ts'
import { withPermit } from '../../lib/spotify/permit.ts'
import type { TokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { createTokenCrypto } from '../../lib/spotify/token-crypto.ts'
import type { Operator, Spotify } from '../operator.ts'
import { toBudgetFault } from './refusal.ts'

/** What taking in tokens needs. */
export interface Enrolment extends Spotify {
  postgres: Postgres
  crypto: TokenCrypto
}

/**
 * Opens all that an enrolment needs, the database first: tokens that were asked for and cannot be stored are
 * lost, and may have replaced others.
 *
 * @throws ConfigError, or what the database throws while its tables are not there
 */
export async function openEnrolment(operator: Operator): Promise<Enrolment> {
  const settings = parseEnv({ ...postgresEnv, ...spotifyEnv, ...tokenKeysEnv }, operator.env)
  const postgres = await operator.postgres()
  await postgres.query('select from users, spotify_tokens, poll_state limit 0')
  const crypto = createTokenCrypto(settings.TOKEN_ENCRYPTION_KEYS)
  return { ...(await operator.spotify()), postgres, crypto }
}

/** The two requests of an enrolment, reserved before the first: tokens that nobody may ask about are lost. */
export interface EnrolmentPermits {
  token: Permit
  profile: Permit
}

/**
 * Reserves the requests of an enrolment and does it; what it does not send goes back to the budget.
 *
 * @throws OperatorFault when Spotify may not be asked now; nothing is used up then
 */
export async function withEnrolmentPermits<T>(
  gateway: Pick<Gateway, 'reserve'>,
  work: (permits: EnrolmentPermits) => Promise<T>,
): Promise<T> {
  const permitOf = async (lane: RequestLane): Promise<Permit> => {
    const { permits, refusal } = await reserveOne(gateway, lane)
    if (refusal) throw toBudgetFault(refusal)
    if (!permits[0]) throw new Error('The budget neither granted nor refused a request')
    return permits[0]
  }
  const token = await permitOf('accounts')
  return withPermit(token, async () => {
    const profile = await permitOf('polling')
    return withPermit(profile, () => work({ token, profile }))
  })
}

/**
 * The pause of an outage is the pollers' conclusion from refused tokens, and a new consent may be the cure. A pause
 * that Spotify asked for is kept.
 */
async function reserveOne(gateway: Pick<Gateway, 'reserve'>, lane: RequestLane): Promise<Permits> {
  const reserved = await gateway.reserve(lane, 1)
  const { refusal } = reserved
  const isOutage = lane === 'accounts' && refusal?.reason === 'paused' && refusal.detail === 'outage'
  return isOutage ? gateway.reserve(lane, 1, { despitePause: true }) : reserved
}
