import { Client } from 'pg'
import { z } from 'zod'
import { type Env, parseEnv, postgresEnv, tokenKeysEnv } from '../lib/config.ts'
import { createTokenCrypto } from '../lib/spotify/token-crypto.ts'

const listenersAnswer = z.object({
  listeners: z.array(
    z.object({ spotifyId: z.string(), displayName: z.string().nullable(), refreshToken: z.string() }),
  ),
})

/** More than any demo has: the simulator gives those that it has. */
const mostListeners = 1_000

/**
 * Makes every simulated listener a user, as though each had consented. Those that are users already stay
 * as they are.
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
  const client = new Client({ connectionString: settings.DATABASE_URL.reveal() })
  await client.connect()
  try {
    await client.query(addUsersSql, [
      listeners.map((one) => one.spotifyId),
      listeners.map((one) => one.displayName),
      await Promise.all(listeners.map((one) => crypto.seal(one.refreshToken))),
    ])
  } finally {
    await client.end()
  }
  return listeners.length
}

const addUsersSql = `
  with listeners as (
    select * from unnest($1::text[], $2::text[], $3::text[]) as t (spotify_id, display_name, refresh_token)
  ), added as (
    insert into users (spotify_id, display_name) select spotify_id, display_name from listeners
    on conflict (spotify_id) do nothing returning id, spotify_id
  ), tokens as (
    insert into spotify_tokens (user_id, refresh_token)
    select added.id, listeners.refresh_token from added join listeners using (spotify_id)
  )
  insert into poll_state (user_id) select id from added`

/**
 * Gives the first listener a play that cannot be told, an item without played_at: so that each run shows
 * what becomes of bad data. Its page is dead-lettered, its neighbours are stored, Discord hears of it.
 */
export async function showDeadLetter(spotifyUrl: string): Promise<void> {
  await fetch(`${spotifyUrl}/_sim/listeners/0/plays`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ oddity: 'missing_played_at' }),
  })
}
