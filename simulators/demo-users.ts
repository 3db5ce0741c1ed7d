import { z } from 'zod'
import { type Env, parseEnv, postgresEnv, tokenKeysEnv } from '../lib/config.ts'
import { openLog } from '../lib/log.ts'
import { openPostgres } from '../lib/postgres.ts'
import { createTokenCrypto } from '../lib/spotify/token-crypto.ts'
import { connectUser, findUser } from '../lib/spotify/token-store.ts'

const listenersAnswer = z.object({
  listeners: z.array(
    z.object({ spotifyId: z.string(), displayName: z.string().nullable(), refreshToken: z.string() }),
  ),
})

/** More than any demo has; the simulator returns fewer. */
const mostListeners = 1_000

/**
 * Makes every simulated listener a user, as if each had consented. Existing users stay as they are.
 *
 * @param spotifyUrl the simulator's address
 * @param env names the database and the keys that encrypt the tokens
 * @returns how many listeners there are
 */
export async function addSimulatedUsers(spotifyUrl: string, env: Env): Promise<number> {
  const settings = parseEnv({ ...postgresEnv, ...tokenKeysEnv }, env)
  const response = await fetch(`${spotifyUrl}/_sim/listeners?limit=${mostListeners}`)
  const { listeners } = listenersAnswer.parse(await response.json())
  const crypto = createTokenCrypto(settings.TOKEN_ENCRYPTION_KEYS)
  const postgres = openPostgres({
    ...{ url: settings.DATABASE_URL, connections: 1, name: 'demo' },
    log: openLog('demo', 'silent'),
  })
  try {
    await postgres.transaction(async (sql) => {
      for (const { spotifyId, displayName, refreshToken } of listeners) {
        if ((await findUser(sql, { spotifyId })) !== null) continue
        const refreshSealed = await crypto.seal(refreshToken)
        const noAccess = { accessSealed: null, expiresInMs: 0, scope: null }
        await connectUser(sql, { spotifyId, displayName, refreshSealed, ...noAccess })
      }
    })
  } finally {
    await postgres.close()
  }
  return listeners.length
}

/**
 * Gives the first listener an item without played_at, so that each run shows how bad data is handled: its page
 * becomes a dead letter, the other plays of the page are stored, and Discord gets an alert.
 */
export async function showDeadLetter(spotifyUrl: string): Promise<void> {
  await fetch(`${spotifyUrl}/_sim/listeners/0/plays`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ oddity: 'missing_played_at' }),
  })
}
