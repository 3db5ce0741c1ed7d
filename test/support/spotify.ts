import { randomBytes } from 'node:crypto'
import type { SpotifyConfig } from '../../lib/config.ts'
import { parseEnv, spotifyConfig, spotifyEnv } from '../../lib/config.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import type { TokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { createTokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { connectUser } from '../../lib/spotify/token-store.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'

const key = randomBytes(32).toString('base64url')

/** Seals and opens tokens with the key of {@link spotifyTestEnv}. */
export const testCrypto: TokenCrypto = createTokenCrypto([{ kid: 'test', key: new Secret(key) }])

/** The environment that points a service at a simulator. */
export function spotifyTestEnv(
  sim: SpotifySimulator,
  more: Record<string, string> = {},
): Record<string, string> {
  return {
    ...sim.env,
    SPOTIFY_CLIENT_ID: `client-${randomBytes(4).toString('hex')}`,
    SPOTIFY_CLIENT_SECRET: 'a-secret',
    SPOTIFY_DAILY_REQUESTS: '1000000',
    SPOTIFY_TIMEOUT_SECONDS: '2',
    TOKEN_ENCRYPTION_KEYS: `test:${key}`,
    ...more,
  }
}

export function spotifyTestConfig(sim: SpotifySimulator, more: Record<string, string> = {}): SpotifyConfig {
  return spotifyConfig(parseEnv(spotifyEnv, spotifyTestEnv(sim, more)))
}

/**
 * Connects a simulated listener as a user without an access token.
 *
 * @returns the user's id
 */
export async function addUser(
  postgres: Postgres,
  sim: SpotifySimulator,
  listener: number,
  more: { displayName?: string | null } = {},
): Promise<number> {
  const refreshSealed = await testCrypto.seal(sim.refreshToken(listener))
  const accessSealed = await testCrypto.seal('none-yet')
  const { displayName = `Listener ${listener}` } = more
  return postgres.transaction((sql) =>
    connectUser(sql, {
      ...{ spotifyId: `listener-${listener}`, displayName, refreshSealed, accessSealed },
      expiresInMs: 0,
      scope: 'user-read-recently-played',
    }),
  )
}
