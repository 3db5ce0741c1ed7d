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

/** What connecting a user needs. */
export interface Enrolment extends Spotify {
  postgres: Postgres
  crypto: TokenCrypto
}

/**
 * Opens all that an enrolment needs, the database first: tokens that cannot be stored are lost, and may already have
 * replaced others.
 *
 * @throws ConfigError, or the database's error while its tables do not exist
 */
export async function openEnrolment(operator: Operator): Promise<Enrolment> {
  const settings = parseEnv({ ...postgresEnv, ...spotifyEnv, ...tokenKeysEnv }, operator.env)
  const postgres = await operator.postgres()
  await postgres.query('select from users, spotify_tokens, poll_state limit 0')
  const crypto = createTokenCrypto(settings.TOKEN_ENCRYPTION_KEYS)
  return { ...(await operator.spotify()), postgres, crypto }
}

/** The permits for both requests. They are reserved before the first: without the profile, the tokens are lost. */
export interface EnrolmentPermits {
  token: Permit
  profile: Permit
}

/**
 * Reserves the requests of an enrolment and runs it; permits that it does not use go back to the budget.
 *
 * @throws OperatorFault when the budget or a pause forbids requests now; no code or token is used up then
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
 * Ignores a pause for an outage: the pollers set it because Spotify refused tokens, and a new consent may end it. Obeys
 * a pause that Spotify asked for.
 */
async function reserveOne(gateway: Pick<Gateway, 'reserve'>, lane: RequestLane): Promise<Permits> {
  const reserved = await gateway.reserve(lane, 1)
  const { refusal } = reserved
  const isOutage = lane === 'accounts' && refusal?.reason === 'paused' && refusal.detail === 'outage'
  return isOutage ? gateway.reserve(lane, 1, { despitePause: true }) : reserved
}
