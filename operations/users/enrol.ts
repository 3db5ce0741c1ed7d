import { setTimeout as sleep } from 'node:timers/promises'
import type { CliContext } from '../../cli/command.ts'
import type { Output } from '../../cli/terminal/output.ts'
import { toPrintable } from '../../cli/terminal/table.ts'
import type { SpotifyConfig } from '../../lib/config.ts'
import { parseEnv, postgresEnv, spotifyConfig, spotifyEnv, tokenKeysEnv } from '../../lib/config.ts'
import { isRecordFault } from '../../lib/errors.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { Gateway } from '../../lib/spotify/gateway.ts'
import { openGateway } from '../../lib/spotify/gateway.ts'
import type { Lane } from '../../lib/spotify/outcome.ts'
import type { Permit, Permits } from '../../lib/spotify/permit.ts'
import { withPermit } from '../../lib/spotify/permit.ts'
import type { TokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { createTokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { connectUser, findUser } from '../../lib/spotify/token-store.ts'
import type { Tokens } from '../../lib/spotify/tokens.ts'
import { describe, OperatorFault } from '../fault.ts'
import type { Profile } from './profile.ts'
import { readProfile } from './profile.ts'
import { toBudgetFault } from './refusal.ts'

/** The one scope that the poller needs. */
export const neededScope = 'user-read-recently-played'

export interface Enrolled extends Omit<Profile, 'accountId'> {
  id: number
  /** The user was known: the new tokens replaced the old ones. */
  known: boolean
}

/** What taking tokens in needs. */
export interface Enrolment {
  spotify: SpotifyConfig
  gateway: Gateway
  postgres: Postgres
  crypto: TokenCrypto
  /** Words for the person at the terminal. */
  say: (text: string) => void
}

/**
 * Opens all that an enrolment needs, the database first: tokens that were asked for and cannot be stored are
 * lost, and may have replaced others.
 *
 * @throws ConfigError, or what the database throws while its tables are not there
 */
export async function openEnrolment(context: CliContext): Promise<Enrolment> {
  const settings = parseEnv({ ...postgresEnv, ...spotifyEnv, ...tokenKeysEnv }, context.env)
  const spotify = spotifyConfig(settings)
  const postgres = await context.operator.postgres()
  await postgres.query('select from users, spotify_tokens, poll_state limit 0')
  const gateway = await context.scope.use(
    openGateway({ sql: postgres, config: spotify, connections: 1 }),
    'spotify',
  )
  const crypto = createTokenCrypto(settings.TOKEN_ENCRYPTION_KEYS)
  return { spotify, gateway, postgres, crypto, say: context.out.say }
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
  { gateway }: { gateway: Pick<Gateway, 'reserve'> },
  work: (permits: EnrolmentPermits) => Promise<T>,
): Promise<T> {
  const permitOf = async (lane: Lane): Promise<Permit> => {
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
async function reserveOne(gateway: Pick<Gateway, 'reserve'>, lane: Lane): Promise<Permits> {
  const reserved = await gateway.reserve(lane, 1)
  const { refusal } = reserved
  const isOutage = lane === 'accounts' && refusal?.reason === 'paused' && refusal.detail === 'outage'
  return isOutage ? gateway.reserve(lane, 1, { despitePause: true }) : reserved
}

/** Tokens that Spotify gave, and where they come from. */
export interface Given {
  tokens: Tokens
  /** The refresh token that they were got with, which stays valid when there is no new one. */
  usedToken: string | null
  /** When the user agreed; absent: now; null: not known. */
  authorizedAt?: Date | null
}

/**
 * Asks whose the tokens are and stores them, sealed.
 *
 * @param permit for the first question
 * @throws OperatorFault when they are of no use or Spotify does not say whose they are
 */
export async function enrol(enrolment: Enrolment, given: Given, permit: Permit): Promise<Enrolled> {
  const { gateway, crypto, postgres, say } = enrolment
  const { clientId } = enrolment.spotify
  const { tokens, usedToken } = given
  const refreshToken = tokens.refreshToken ?? usedToken
  if (refreshToken === null) {
    throw new OperatorFault('Spotify gave no refresh token', 'Run songswap users connect again.')
  }
  if (tokens.scope && !tokens.scope.split(' ').includes(neededScope)) {
    throw new OperatorFault(
      `The consent does not cover ${neededScope}: plays could not be read with it`,
      'Let the user consent again: songswap users connect',
    )
  }
  const sealed = {
    refreshSealed: await crypto.seal(refreshToken),
    accessSealed: await crypto.seal(tokens.accessToken),
    expiresInMs: tokens.expiresInMs,
    scope: tokens.scope,
  }
  const profile = await readProfile(gateway, tokens.accessToken, permit)
  const user = {
    ...profile,
    ...sealed,
    clientId,
    ...('authorizedAt' in given && { authorizedAt: given.authorizedAt }),
  }
  const stored = await storeUntilTaken(
    () =>
      postgres.transaction(async (sql) => {
        const known = (await findUser(sql, user)) !== null
        return { id: await connectUser(sql, user), known }
      }),
    say,
  )
  const { spotifyId, displayName } = profile
  return { spotifyId, displayName, ...stored }
}

const storePauseMs = 1_000

/** A rotated token exists nowhere else: it is stored as soon as the database takes it, or the person gives up. */
async function storeUntilTaken<T>(store: () => Promise<T>, say: (text: string) => void): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await store()
    } catch (error) {
      if (isRecordFault(error)) throw error
      if (attempt === 1) {
        say(`The database does not take the tokens (${describe(error)}). Trying on; Ctrl-C would lose them.`)
      }
      await sleep(storePauseMs)
    }
  }
}

/** Tells who was enrolled: the words beside, the id alone on standard output. */
export function tellEnrolled(out: Output, enrolled: Enrolled): void {
  if (out.json) out.printJsonLine(enrolled)
  else {
    out.say(describeEnrolled(enrolled))
    out.print(String(enrolled.id))
  }
}

/** What a person reads about a user who was just stored. */
export function describeEnrolled({ id, spotifyId, displayName, known }: Enrolled): string {
  const name = toPrintable(displayName ?? spotifyId)
  return known
    ? `${name} (user ${id}) is connected again: the new token replaces the old one.`
    : `${name} is user ${id}, and is polled from now on.`
}
