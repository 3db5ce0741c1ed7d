import { setTimeout as sleep } from 'node:timers/promises'
import type { Env } from '../../lib/config.ts'
import { parseEnv, spotifyConfig, spotifyEnv, tokenKeysEnv } from '../../lib/config.ts'
import { isRetriable } from '../../lib/errors.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { SpotifyClient } from '../../lib/spotify/client.ts'
import { createTokenCrypto } from '../../lib/spotify/token-crypto.ts'
import type { Connection } from '../../lib/spotify/token-store.ts'
import { connectUser } from '../../lib/spotify/token-store.ts'
import type { Tokens } from '../../lib/spotify/tokens.ts'
import { CliFault } from '../fault.ts'
import type { Profile } from './profile.ts'
import { readProfile } from './profile.ts'

/** The one scope that the poller needs. */
export const neededScope = 'user-read-recently-played'

export interface Enrolled extends Profile {
  id: number
  /** The user was known: the new tokens replaced the old ones. */
  known: boolean
}

/** Settings of the commands that take tokens in. @throws ConfigError */
export function enrolConfig(env: Env) {
  const settings = parseEnv({ ...spotifyEnv, ...tokenKeysEnv }, env)
  return { spotify: spotifyConfig(settings), tokenKeys: settings.TOKEN_ENCRYPTION_KEYS }
}

export type EnrolConfig = ReturnType<typeof enrolConfig>

export interface Enrolment {
  config: EnrolConfig
  client: SpotifyClient
  postgres: Postgres
  tokens: Tokens
  /** Kept when Spotify sent no new one; null: there is none yet. */
  refreshToken: string | null
}

/**
 * Asks whose the tokens are and stores them, sealed.
 * @throws CliFault when they are of no use or Spotify does not say whose they are
 */
export async function enrol(enrolment: Enrolment): Promise<Enrolled> {
  const { tokens, client } = enrolment
  const refreshToken = tokens.refreshToken ?? enrolment.refreshToken
  if (refreshToken === null) {
    throw new CliFault('Spotify gave no refresh token', 'Run songswap users connect again.')
  }
  if (tokens.scope && !tokens.scope.split(' ').includes(neededScope)) {
    throw new CliFault(
      `The consent does not cover ${neededScope}: plays could not be read with it`,
      'Let the user consent again: songswap users connect',
    )
  }
  const crypto = createTokenCrypto(enrolment.config.tokenKeys)
  const sealed = {
    refreshSealed: await crypto.seal(refreshToken),
    accessSealed: await crypto.seal(tokens.accessToken),
    expiresInMs: tokens.expiresInMs,
    scope: tokens.scope,
  }
  const profile = await readProfile(client, tokens.accessToken)
  const stored = await storePatiently(() => store(enrolment.postgres, { ...profile, ...sealed }))
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
      if (attempt === storeTries || !isRetriable(error)) throw error
      await sleep(storePauseMs)
    }
  }
}

/** What a person reads about a user who was just stored. */
export function describeEnrolled({ id, spotifyId, displayName, known }: Enrolled): string {
  const name = displayName ?? spotifyId
  return known
    ? `${name} (user ${id}) is connected again: the new token replaces the old one.`
    : `${name} is user ${id}, and is polled from now on.`
}
