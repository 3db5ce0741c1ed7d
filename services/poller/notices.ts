import type { Notice } from '../../lib/events.ts'
import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import type { ClaimedUser } from './claims.ts'

/** Why a user is parked: an answer with Spotify's words, or a missing token. */
export interface ParkReason {
  reason: OutcomeType | 'no_tokens'
  words: string
}

/** What names a user in an event. */
type UserWords = Pick<ClaimedUser, 'userId' | 'displayName' | 'spotifyId'>

const app = 'app'
const weekMs = 7 * 86_400_000
/** Subject of events about the accounts service, apart from those about the API. */
export const accountsSubject = 'accounts'

const nameOf = (user: UserWords) => `User ${user.userId} (${user.displayName ?? user.spotifyId})`
const subjectOf = (user: UserWords) => `user:${user.userId}`

export const notices = {
  needsReauth: (user: UserWords, { reason }: ParkReason): Notice => ({
    type: 'user_needs_reauth',
    subject: subjectOf(user),
    severity: 'warning',
    message: `${nameOf(user)} must connect again: ${reauthReasons[reason] ?? reason}. Their plays are not collected until then: songswap users connect.`,
    details: { reason },
  }),
  consentEnding: (user: UserWords, { endsAt, now }: { endsAt: Date | null; now: Date }): Notice => ({
    type: 'consent_ending',
    subject: subjectOf(user),
    severity: endsAt !== null && endsAt.getTime() - now.getTime() > weekMs ? 'info' : 'warning',
    message: `${consentWords(user, endsAt, now)}: refresh tokens live for six months. Their plays are not collected after that until they connect again: songswap users connect.`,
    details: endsAt === null ? {} : { endsAt: endsAt.toISOString() },
  }),
  consentRenewed: (user: UserWords): Notice => ({
    type: 'consent_ending',
    subject: subjectOf(user),
    severity: 'info',
    state: 'resolved',
    message: `${nameOf(user)} has connected again.`,
  }),
  forbidden: (user: UserWords, { reason, words }: ParkReason): Notice => ({
    type: 'user_forbidden',
    subject: subjectOf(user),
    severity: 'warning',
    message: `Spotify refuses ${nameOf(user)} while it serves others${words ? ` ("${words}")` : ''}. Most often they are not on the app's list of users: add them in the Spotify dashboard. They are tried again after 1, 1, 2, 4 and 8 hours and then once a day, or at once after: songswap users resume ${user.userId}.`,
    details: { reason },
  }),
  userIsBack: (user: UserWords, type: Notice['type']): Notice => ({
    type,
    subject: subjectOf(user),
    severity: 'info',
    message: `${nameOf(user)} is polled again.`,
  }),
  profileIncomplete: (user: UserWords): Notice => ({
    type: 'user_profile_incomplete',
    subject: subjectOf(user),
    severity: 'info',
    message: `User ${user.userId} has no display name; the Spotify id ${user.spotifyId} stands in for it.`,
  }),
  outage: (failing: number): Notice => ({
    type: 'spotify_outage',
    subject: app,
    severity: 'critical',
    message: `Spotify fails for most users (${failing} of those polled last). Polling pauses and tries again; nobody is parked.`,
    details: { failing: String(failing) },
  }),
  accountsOutage: (failing: number): Notice => ({
    type: 'spotify_outage',
    subject: accountsSubject,
    severity: 'critical',
    message: `Spotify calls the refresh tokens of ${failing} users dead at once. That is taken for an outage: nobody is parked, and those parked within the hour are active again.`,
    details: { failing: String(failing) },
  }),
  paused: (reason: string, ms: number): Notice => ({
    type: 'spotify_paused',
    subject: app,
    severity: 'warning',
    message: `Polling pauses for ${Math.ceil(ms / 60_000)} minutes: ${pauseReasons[reason] ?? reason}.`,
    details: { reason, seconds: String(Math.ceil(ms / 1000)) },
  }),
  accountsPaused: (reason: string, ms: number): Notice => ({
    type: 'spotify_paused',
    subject: accountsSubject,
    severity: 'warning',
    message: `Spotify's accounts service pauses for ${Math.ceil(ms / 60_000)} minutes: ${pauseReasons[reason] ?? reason}. Access tokens live for an hour; whose token ends is not polled until then.`,
    details: { reason, seconds: String(Math.ceil(ms / 1000)) },
  }),
  premiumLapsed: (): Notice => ({
    type: 'spotify_premium_lapsed',
    subject: app,
    severity: 'critical',
    message:
      "The app owner's Premium subscription has lapsed: Spotify refuses every request. Renew it; it can take hours until requests work again.",
  }),
  credentials: (detail: string): Notice => ({
    type: 'spotify_credentials',
    subject: app,
    severity: 'critical',
    message: `Spotify refuses the client id or secret (${detail}). Check SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET.`,
  }),
  unreadableTokens: (detail: string): Notice => ({
    type: 'tokens_unreadable',
    subject: app,
    severity: 'critical',
    message: `${detail}. Give the key that sealed it in TOKEN_ENCRYPTION_KEYS.`,
  }),
  otherApp: (clientId: string): Notice => ({
    type: 'tokens_of_another_app',
    subject: app,
    severity: 'critical',
    message: `Stored tokens were given to the app ${clientId}, which is not SPOTIFY_CLIENT_ID: their users are not polled. Set the old client id and secret again, or let each user connect to the new app: songswap users connect.`,
    details: { clientId },
  }),
  unreadable: (users: number): Notice => ({
    type: 'spotify_unreadable',
    subject: app,
    severity: 'warning',
    message: `What Spotify answers for ${users} ${users === 1 ? 'user' : 'users'} has not been readable for an hour: it is no JSON, breaks off, or has a status or an encoding that the API does not have. Is there a proxy in between? songswap doctor --only users names them.`,
    details: { users: String(users) },
  }),
  clockSkew: ({ aheadMs, isCorrected }: { aheadMs: number; isCorrected: boolean }): Notice => ({
    type: 'clock_skew',
    subject: 'clock',
    severity: 'critical',
    message: `This machine's clock is ${Math.round(Math.abs(aheadMs) / 60_000)} minutes ${aheadMs > 0 ? 'ahead of' : 'behind'} Spotify's. ${isCorrected ? "Postgres goes with Spotify's, so pages bear that time." : 'Postgres goes with ours, so pages bear our time: plays may be taken for future ones.'} Set the clock (NTP).`,
    details: { aheadSeconds: String(Math.round(aheadMs / 1000)) },
  }),
  gated: (): Notice => ({
    type: 'spotify_endpoint_gated',
    subject: app,
    severity: 'critical',
    message:
      'Spotify refuses recently-played to this app (403 Forbidden). Look at the app in the Spotify dashboard.',
    details: { endpoint: 'recently-played' },
  }),
  budgetShort: (details: { activeUsers: number; dailyRequests: number }): Notice => ({
    type: 'budget_short',
    subject: app,
    severity: 'warning',
    message: `${details.dailyRequests} requests a day cannot poll ${details.activeUsers} users often enough to be safe: plays may be lost. Raise SPOTIFY_DAILY_REQUESTS if the quota allows it, or pause users.`,
    details: { activeUsers: String(details.activeUsers), dailyRequests: String(details.dailyRequests) },
  }),
  over: (type: Notice['type'], subject = app): Notice => ({
    type,
    subject,
    severity: 'info',
    message: overMessages[type] ?? 'It is over.',
  }),
}

/** @param endsAt null if the time of the consent is not known */
function consentWords(user: UserWords, endsAt: Date | null, now: Date): string {
  if (endsAt === null) return `The consent of ${nameOf(user)} is of unknown age and may end any day`
  const ends = endsAt > now ? 'ends' : 'ended'
  return `The consent of ${nameOf(user)} ${ends} on ${endsAt.toISOString().slice(0, 10)}`
}

const reauthReasons: Record<string, string> = {
  invalid_grant:
    'Spotify says that their refresh token is dead (it lives for six months, or they took it back)',
  missing_scope: 'they have not granted user-read-recently-played',
  no_tokens: 'no token of theirs is stored',
}

const pauseReasons: Record<string, string> = {
  quota_exceeded: "Spotify's daily quota is spent (429 QUOTA_EXCEEDED)",
  rate_limited: 'Spotify limits the rate (429)',
  spent: 'the request budget of this day is spent (SPOTIFY_DAILY_REQUESTS)',
  outage: 'Spotify fails for most users',
}

const overMessages: Partial<Record<Notice['type'], string>> = {
  spotify_outage: 'Spotify works again.',
  spotify_paused: 'Polling goes on.',
  spotify_premium_lapsed: 'Spotify answers again.',
  spotify_credentials: 'Spotify accepts the client id and secret again.',
  tokens_unreadable: 'Stored tokens can be read again.',
  spotify_endpoint_gated: 'Spotify serves recently-played again.',
  tokens_of_another_app: 'All stored tokens belong to this app.',
  spotify_unreadable: 'Answers can be read again.',
  clock_skew: "The clock goes with Spotify's again.",
  budget_short: 'The request budget suffices again.',
}
