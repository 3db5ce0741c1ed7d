import { setTimeout as sleep } from 'node:timers/promises'
import type { SpotifyConfig } from '../../lib/config.ts'
import { parseEnv, postgresEnv, spotifyConfig, spotifyEnv, tokenKeysEnv } from '../../lib/config.ts'
import { isRecordFault } from '../../lib/errors.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { SpotifyClient } from '../../lib/spotify/client.ts'
import { openSpotifyClient } from '../../lib/spotify/client.ts'
import type { TokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { createTokenCrypto } from '../../lib/spotify/token-crypto.ts'
import type { Connection } from '../../lib/spotify/token-store.ts'
import { connectUser } from '../../lib/spotify/token-store.ts'
import type { Tokens } from '../../lib/spotify/tokens.ts'
import type { CliContext } from '../command.ts'
import { openDatabase } from '../database.ts'
import { CliFault } from '../fault.ts'
import type { Output } from '../output.ts'
import { toPrintable } from '../table.ts'
import type { Profile } from './profile.ts'
import { readProfile } from './profile.ts'

/** The one scope that the poller needs. */
export const neededScope = 'user-read-recently-played'

export interface Enrolled extends Profile {
  id: number
  /** The user was known: the new tokens replaced the old ones. */
  known: boolean
}

/** What taking tokens in needs. */
export interface Enrolment {
  spotify: SpotifyConfig
  client: SpotifyClient
  postgres: Postgres
  crypto: TokenCrypto
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
  const postgres = await openDatabase(context)
  await postgres.query('select from users, spotify_tokens, poll_state limit 0')
  const client = await context.scope.use(openSpotifyClient(spotify, { connections: 1 }), 'spotify')
  return { spotify, client, postgres, crypto: createTokenCrypto(settings.TOKEN_ENCRYPTION_KEYS) }
}

/**
 * Asks whose the tokens are and stores them, sealed.
 *
 * @param usedToken the refresh token that they were got with, which stays valid when there is no new one
 * @throws CliFault when they are of no use or Spotify does not say whose they are
 */
export async function enrol(
  enrolment: Enrolment,
  tokens: Tokens,
  usedToken: string | null,
): Promise<Enrolled> {
  const { client, crypto, postgres } = enrolment
  const refreshToken = tokens.refreshToken ?? usedToken
  if (refreshToken === null) {
    throw new CliFault('Spotify gave no refresh token', 'Run songswap users connect again.')
  }
  if (tokens.scope && !tokens.scope.split(' ').includes(neededScope)) {
    throw new CliFault(
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
  const profile = await readProfile(client, tokens.accessToken)
  const stored = await storePatiently(() => store(postgres, { ...profile, ...sealed }))
  return { ...profile, ...stored }
}

function store(postgres: Postgres, user: Connection): Promise<{ id: number; known: boolean }> {
  return postgres.transaction(async (sql) => {
    const { rowCount } = await sql.query('select from users where spotify_id = $1', [user.spotifyId])
    return { id: await connectUser(sql, user), known: rowCount === 1 }
  })
}

const storeTries = 5
const storePauseMs = 1_000

/** A rotated token exists nowhere else: a hiccup of the database must not lose it. */
async function storePatiently<T>(store: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await store()
    } catch (error) {
      if (attempt === storeTries || isRecordFault(error)) throw error
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
