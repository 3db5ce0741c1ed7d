import type { Env } from '../../lib/config.ts'
import { parseEnv, spotifyConfig, spotifyEnv } from '../../lib/config.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { pollingNeed } from '../../lib/spotify/budget-plan.ts'
import { readActiveUsers } from '../../lib/spotify/budget-store.ts'
import type { Gateway } from '../../lib/spotify/gateway.ts'
import { openGateway } from '../../lib/spotify/gateway.ts'
import { lanes } from '../../lib/spotify/outcome.ts'
import { toCount, toPlural, toSpan } from '../../lib/words.ts'
import { describe } from '../fault.ts'
import type { Operator } from '../operator.ts'
import { defaultPort, toPort, toRedirectAddress } from '../users/redirect-address.ts'
import type { Check, Notes } from './check.ts'
import { redirectFault } from './redirect.ts'
import type { Books } from './spotify-probe.ts'
import { probeSpotify } from './spotify-probe.ts'

export const spotifyCheck: Check = {
  name: 'spotify',
  looksAt: 'redirect address, budget and pauses, credentials, mode of the app, Premium',
  withinMs: 45_000,
  hint: "Try again later; Spotify's own state: https://developer.spotify.com/",
  async run(operator, notes) {
    noteRedirect(operator.env, notes)
    const config = spotifyConfig(parseEnv(spotifyEnv, operator.env))
    const sql = await openDatabase(operator, notes)
    const gateway = openGateway({ sql, config, connections: 1 })
    try {
      const books = sql && (await readBooks(sql, gateway))
      if (books) noteBudget(books, notes)
      const requests = await probeSpotify({ gateway, config, books, notes })
      const counted = books ? 'counted in the budget' : 'not counted: Postgres is away'
      notes.ok('requests', requests === 0 ? 'none were made' : `${toPlural(requests, 'request')}, ${counted}`)
    } finally {
      await gateway.close()
    }
  },
}

/** Postgres, or null if it is away: the probe's requests are not counted then. */
async function openDatabase(operator: Operator, notes: Notes): Promise<Postgres | null> {
  try {
    const sql = await operator.postgres()
    await sql.query('select from users, api_pauses limit 0')
    return sql
  } catch (error) {
    notes.warn('budget', `it cannot be read: ${describe(error)}`, 'See the check of Postgres.')
    return null
  }
}

async function readBooks(sql: Postgres, gateway: Gateway): Promise<Books> {
  const [state, activeUsers] = await Promise.all([gateway.read(), readActiveUsers(sql)])
  return { sql, state, activeUsers }
}

function noteBudget({ state, activeUsers }: Books, notes: Notes): void {
  const { left, dailyRequests, remainingMs } = state
  const text = `${toCount(left)} of ${toCount(dailyRequests)} requests left for ${toSpan(remainingMs)}`
  const need = pollingNeed({ activeUsers, remainingMs })
  const hint = 'Raise SPOTIFY_DAILY_REQUESTS if Spotify allows the app more; polls are stretched until then.'
  if (left === 0 && activeUsers > 0) notes.fail('budget', `${text}: nobody is polled`, hint)
  else if (left < need) notes.warn('budget', `${text}; safe polling needs ${toCount(need)}`, hint)
  else notes.ok('budget', text)
  for (const lane of lanes) {
    const { pausedForMs, reason } = state.lanes[lane]
    if (pausedForMs === 0) continue
    const paused = `Spotify asked for a pause of ${toSpan(pausedForMs)} more: ${reason ?? 'no reason given'}`
    notes.warn(`lane ${lane}`, paused, 'It ends by itself.')
  }
}

/** Checks the address that `users connect` waits at, and SPOTIFY_REDIRECT, which songswap does not use. */
function noteRedirect(env: Env, notes: Notes): void {
  const port = toPort(env.SPOTIFY_REDIRECT_PORT ?? '')
  const example = toRedirectAddress(defaultPort)
  if (port === null) {
    const text = `${env.SPOTIFY_REDIRECT_PORT}: it is no port, and users connect does not start`
    notes.fail('SPOTIFY_REDIRECT_PORT', text, `Leave it out for ${example}.`)
  } else {
    const text = `users connect waits at ${toRedirectAddress(port)}; the dashboard must list that`
    notes.ok('redirect address', text)
  }
  const given = env.SPOTIFY_REDIRECT || env.SPOTIFY_REDIRECT_URI
  if (!given) return
  const fault = redirectFault(given)
  if (fault !== null) {
    notes.fail('SPOTIFY_REDIRECT', `${given}: ${fault}`, `For example ${example}, here and in the dashboard.`)
  } else if (port !== null && given !== toRedirectAddress(port)) {
    const text = `${given} is not what users connect uses`
    notes.warn('SPOTIFY_REDIRECT', text, 'Set SPOTIFY_REDIRECT_PORT in place of it.')
  } else notes.ok('SPOTIFY_REDIRECT', `${given} is allowed`)
}
