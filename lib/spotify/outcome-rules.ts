import type { EventType } from '../events.ts'
import type { Outcome, OutcomeType } from './outcome.ts'

/** The consequences of one outcome of a request for a user. */
export interface OutcomeRule {
  /** The status of a parked user, once it is certain that the outcome is about them; null if it never parks. */
  parks: 'needs_reauth' | 'forbidden' | null
  /**
   * How it counts when Spotify as a whole is judged: `works`; `fails`; `refuses`, which is an outage only while no user
   * is served; null if it says nothing about Spotify.
   */
  counts: 'works' | 'fails' | 'refuses' | null
  /** The event that it raises: about the user if it parks them, else about the app; null if none by itself. */
  event: EventType | null
  /** When the user is polled again: by the plan, after the stored pause, or with backoff. */
  again: 'plan' | 'pause' | 'backoff'
  /** Set if the answer cannot be read: after an hour of that, an operator should check. */
  isUnreadable?: true
}

const fails = { parks: null, counts: 'fails', event: 'spotify_outage', again: 'backoff' } as const
const unreadable = { ...fails, isUnreadable: true } as const
const refuses = { parks: null, counts: 'refuses', event: null, again: 'backoff' } as const
const forbids = { ...refuses, parks: 'forbidden', event: 'user_forbidden' } as const
const reauth = { ...refuses, parks: 'needs_reauth', event: 'user_needs_reauth' } as const
const pauses = { parks: null, counts: null, event: 'spotify_paused', again: 'pause' } as const

/** The only table of the consequences of outcomes: parking, judging Spotify, events and the next try follow it. */
export const outcomeRules: Readonly<Record<OutcomeType, OutcomeRule>> = {
  ok: { parks: null, counts: 'works', event: null, again: 'plan' },
  // The answer stays the same after the token was renewed.
  unauthorized: refuses,
  missing_scope: reauth,
  // Spotify's wording changes. A user who is refused while others are served is refused because of themselves.
  gated: forbids,
  user_not_listed: forbids,
  refused: forbids,
  premium_lapsed: { ...pauses, event: 'spotify_premium_lapsed' },
  quota_exceeded: pauses,
  rate_limited: pauses,
  not_found: { parks: null, counts: null, event: null, again: 'backoff' },
  feed_missing: fails,
  bad_request: refuses,
  server_error: fails,
  truncated_json: unreadable,
  not_json: unreadable,
  unexpected_status: unreadable,
  // Not counted here: the accounts service is judged by the tokens that it renews.
  invalid_grant: { ...reauth, counts: null },
  invalid_client: { ...pauses, event: 'spotify_credentials' },
  token_refused: refuses,
  timeout: fails,
  unreachable: fails,
  too_large: fails,
}

/** Whether an outcome is an outage: the same request may succeed later, and the outcome says nothing about the user. */
export function isOutage({ type }: Pick<Outcome, 'type'>): boolean {
  return outcomeRules[type].counts === 'fails'
}

const allTypes = Object.keys(outcomeRules) as OutcomeType[]

/** Outcomes of the API that park a user once it is certain that they are about the user. */
export const refusals: readonly OutcomeType[] = allTypes.filter(
  (type) => outcomeRules[type].parks !== null && outcomeRules[type].counts === 'refuses',
)

export const unreadableOutcomes: readonly OutcomeType[] = allTypes.filter(
  (type) => outcomeRules[type].isUnreadable,
)
