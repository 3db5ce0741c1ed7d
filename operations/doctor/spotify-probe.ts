import type { SpotifyConfig } from '../../lib/config.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { BudgetState } from '../../lib/spotify/budget.ts'
import { liftPauses } from '../../lib/spotify/budget-store.ts'
import type { Gateway } from '../../lib/spotify/gateway.ts'
import type { Outcome, RequestLane } from '../../lib/spotify/outcome.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import type { Permit } from '../../lib/spotify/permit.ts'
import { openAppToken } from '../../lib/spotify/tokens.ts'
import { toSpan } from '../../lib/words.ts'
import { openCapabilityStore } from '../../services/enricher/capability-store.ts'
import type { Notes } from './check.ts'
import type { Finding } from './report.ts'

/** What the probe needs from Postgres. */
export interface Books {
  sql: Postgres
  /** The budget before the probe. */
  state: BudgetState
  activeUsers: number
}

interface Probe {
  gateway: Gateway
  config: SpotifyConfig
  /** Null if Postgres is away: then requests are not counted and answers are not remembered. */
  books: Books | null
  notes: Notes
}

/** Two artists that are likely to stay. Spotify may answer a batch of one where it refuses larger ones. */
const artists = ['0OdUWJ0sBjDrqHygGUXeCF', '4Z8W4fKeB5YxbusRsdQVPb']
/** Reasons for pauses during which a request makes things worse. */
const limits = new Set(['rate_limited', 'quota_exceeded'])

/**
 * Requests an app token, and with it two artists in one batch. Spotify refuses the batch to apps in Development Mode,
 * and every request to apps whose owner's Premium has lapsed.
 *
 * @returns the number of requests made
 */
export async function probeSpotify(probe: Probe): Promise<number> {
  const { gateway, notes } = probe
  const first = await permitTo(probe, 'accounts', 'credentials')
  if (!first) return 0
  const token = await openAppToken(gateway).get(first)
  if (token.type === 'deferred') return 0
  notes.add(judgeCredentials(token.type === 'token' ? { type: 'ok', json: null } : token.outcome))
  if (token.type !== 'token') return 1

  const second = await permitTo(probe, 'enrichment', 'app')
  if (!second) return 1
  const asked = await gateway.get(
    {
      kind: 'batch',
      lane: 'enrichment',
      path: '/artists',
      query: { ids: artists.join(',') },
      accessToken: token.accessToken,
    },
    second,
  )
  if (asked.type === 'refused') return 1
  const { outcome } = asked.answer
  await remember(probe, outcome)
  await liftPremium(probe, outcome)
  notes.add(judgeApp(outcome))
  return 2
}

/**
 * Reserves a request in the lane of accounts, so that the share reserved for polling does not stop the doctor. It
 * ignores pauses for credentials or Premium: an operator may have fixed the cause.
 */
async function permitTo(
  { gateway, books, config, notes }: Probe,
  lane: RequestLane,
  subject: string,
): Promise<Permit | null> {
  const { pausedForMs = 0, reason = null } = books?.state.lanes[lane] ?? {}
  if (books && pausedForMs > 0 && limits.has(reason ?? '')) {
    const known = lane === 'enrichment' ? await readKnownMode(books.sql, config.clientId) : ''
    notes.warn(subject, `not asked: ${reason} for ${toSpan(pausedForMs)} more${known}`, 'Look again then.')
    return null
  }
  const { permits, refusal } = await gateway.reserve('accounts', 1, { despitePause: true })
  if (refusal) notes.warn(subject, `not asked: ${refusal.detail}`, 'Look again when the window has ended.')
  return permits[0] ?? null
}

async function readKnownMode(sql: Postgres, clientId: string): Promise<string> {
  const { rows } = await sql.query<{ allowed: boolean; at: Date }>(
    `select allowed, observed_at as at from api_capabilities
     where client_id = $1 and capability = 'artists.batch'`,
    [clientId],
  )
  const [known] = rows
  if (!known) return ''
  return `; last seen in ${known.allowed ? 'Extended Quota' : 'Development'} Mode on ${known.at.toISOString().slice(0, 10)}`
}

async function remember({ books, config }: Probe, outcome: Outcome): Promise<void> {
  if (!books || (outcome.type !== 'ok' && outcome.type !== 'gated')) return
  const { clientId } = config
  const store = openCapabilityStore({ sql: books.sql, clientId, probeAgainMs: 0 })
  await store.remember('artists.batch', outcome.type === 'ok')
}

/** Lifts the services' pause for a lapsed Premium once it is renewed; it would last up to an hour. */
async function liftPremium({ books, config, notes }: Probe, outcome: Outcome): Promise<void> {
  if (!books || (outcome.type !== 'ok' && outcome.type !== 'gated')) return
  const lifted = await liftPauses(books.sql, config.clientId, 'premium_lapsed')
  if (lifted > 0) notes.ok('premium', 'Spotify answers again: the pause for the lapsed Premium is lifted')
}

/** Judges the answer to the token request. */
export function judgeCredentials(outcome: Outcome): Finding {
  const subject = 'credentials'
  if (outcome.type === 'ok')
    return { state: 'ok', subject, text: 'client id and secret are accepted', hint: null }
  const text = `no app token: ${describeOutcome(outcome)}`
  const hint =
    outcome.type === 'invalid_client' || outcome.type === 'token_refused'
      ? 'Check SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET in the Developer Dashboard.'
      : 'Try again later. Is SPOTIFY_ACCOUNTS_URL right, and reachable from here?'
  return { state: limits.has(outcome.type) ? 'warn' : 'fail', subject, text, hint }
}

/** Judges the answer to the batch request. */
export function judgeApp(outcome: Outcome): Finding {
  const subject = 'app'
  switch (outcome.type) {
    case 'ok':
      return { state: 'ok', subject, text: 'Extended Quota Mode: batches are answered', hint: null }
    case 'gated':
      return {
        ...{ state: 'ok', subject, hint: null },
        text: 'Development Mode: artists are asked for one by one, and only listed users can be polled',
      }
    case 'premium_lapsed':
      return {
        ...{ state: 'fail', subject },
        text: "the app owner's Premium has lapsed: Spotify refuses every request",
        hint: 'Renew the Premium of the account that owns the app; it takes some hours to count.',
      }
    case 'quota_exceeded':
    case 'rate_limited':
      return {
        ...{ state: 'warn', subject },
        text: describeOutcome(outcome),
        hint: 'Everybody waits for it to end, which is by itself. Is SPOTIFY_DAILY_REQUESTS too high?',
      }
    default:
      return {
        ...{ state: 'fail', subject },
        text: `Spotify does not answer as it should: ${describeOutcome(outcome)}`,
        hint: 'Try again later. Is SPOTIFY_API_URL right, and reachable from here?',
      }
  }
}
