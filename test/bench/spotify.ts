import { parseEnv, tokenKeysEnv } from '../../lib/config.ts'
import type { Sql } from '../../lib/postgres.ts'
import { createTokenCrypto } from '../../lib/spotify/token-crypto.ts'
import type { Pages } from './pages.ts'
import type { Service } from './service.ts'
import { startProcess } from './service.ts'
import type { Stack } from './stack.ts'

/** A stand-in for Spotify without limits. */
export interface Answerer {
  process: Service
  /** Points a service at it. */
  env: Record<string, string>
}

/** Starts a stand-in that always answers user N with page N - 1. */
export async function startAnswerer(shape: Pages['shape']): Promise<Answerer> {
  const process = startProcess('test/bench/answerer-main.ts', { BENCH_SHAPE: JSON.stringify(shape) })
  const { port } = await process.line((line) => line.msg === 'listening')
  const url = `http://127.0.0.1:${port}`
  const env = {
    SPOTIFY_CLIENT_ID: 'bench',
    SPOTIFY_CLIENT_SECRET: 'bench',
    SPOTIFY_API_URL: `${url}/v1`,
    SPOTIFY_ACCOUNTS_URL: url,
    SPOTIFY_DAILY_REQUESTS: '1000000000',
    AUDIO_FEATURES_PROVIDER: 'none',
  }
  return { process, env }
}

/** Adds users 1 to `due`, who are due now and have valid tokens, and `idle` further ones who are due later. */
export async function addUsers(sql: Sql, stack: Stack, users: { due: number; idle: number }): Promise<void> {
  const crypto = createTokenCrypto(parseEnv(tokenKeysEnv, stack.env).TOKEN_ENCRYPTION_KEYS)
  const ids = Array.from({ length: users.due }, (_, i) => i + 1)
  const sealed = await Promise.all(ids.map((id) => crypto.seal(`user-${id}`)))
  await sql.query(
    `insert into users (id, spotify_id, display_name)
     select n, 'listener-' || n, 'Listener ' || n from generate_series(1, $1::int) n`,
    [users.due + users.idle],
  )
  await sql.query(
    `insert into spotify_tokens (user_id, refresh_token, access_token, expires_at)
     select id, 'never used', access, now() + interval '50 minutes' from unnest($1::bigint[], $2::text[]) t (id, access)`,
    [ids, sealed],
  )
  // Within half an hour the poller does not bring a poll forward.
  await sql.query(
    `insert into poll_state (user_id, next_poll_at)
     select id, case when id <= $1 then now() else now() + interval '30 minutes' end from users`,
    [users.due],
  )
  await sql.query('analyze users, spotify_tokens, poll_state')
}
