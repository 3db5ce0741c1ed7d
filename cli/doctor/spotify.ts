import { parseEnv, spotifyConfig, spotifyEnv } from '../../lib/config.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { pollingNeed } from '../../lib/spotify/budget-plan.ts'
import { readActiveUsers } from '../../lib/spotify/budget-store.ts'
import type { Gateway } from '../../lib/spotify/gateway.ts'
import { openGateway } from '../../lib/spotify/gateway.ts'
import { lanes } from '../../lib/spotify/outcome.ts'
import { describe } from '../fault.ts'
import { toCount, toPlural, toSpan } from '../words.ts'
import type { Check, DoctorContext, Notes } from './check.ts'
import { redirectFault } from './redirect.ts'
import type { Books } from './spotify-probe.ts'
import { probeSpotify } from './spotify-probe.ts'

/** Where `users connect` listens by default. */
const defaultRedirect = 'http://127.0.0.1:8888/callback'

/** Spotify: redirect address, budget and pauses, credentials, mode of the app, Premium. */
export const spotifyCheck: Check = {
  name: 'spotify',
  withinMs: 45_000,
  hint: "Try again later; Spotify's own state: https://developer.spotify.com/",
  async run(context, notes) {
    noteRedirect(context, notes)
    const config = spotifyConfig(parseEnv(spotifyEnv, context.env))
    const sql = await openDatabase(context, notes)
    const gateway = await context.scope.use(openGateway({ sql, config, connections: 1 }), 'spotify')
    const books = sql && (await readBooks(sql, gateway))
    if (books) noteBudget(books, notes)
    const requests = await probeSpotify({ gateway, config, books, notes })
    const counted = books ? 'counted in the budget' : 'not counted: Postgres is away'
    notes.ok('requests', requests === 0 ? 'none were made' : `${toPlural(requests, 'request')}, ${counted}`)
  },
}

/** null where Postgres is away: what the probe does then is not counted. */
async function openDatabase({ database }: DoctorContext, notes: Notes): Promise<Postgres | null> {
  try {
    const sql = await database()
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

function noteRedirect({ env }: DoctorContext, notes: Notes): void {
  const given = env.SPOTIFY_REDIRECT || env.SPOTIFY_REDIRECT_URI
  const address = given || defaultRedirect
  const fault = redirectFault(address)
  const subject = given ? 'SPOTIFY_REDIRECT' : 'redirect address'
  if (fault === null) notes.ok(subject, `${address} is allowed; the dashboard must list it too`)
  else
    notes.fail(subject, `${address}: ${fault}`, `For example ${defaultRedirect}, here and in the dashboard.`)
}
