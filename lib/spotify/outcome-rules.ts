import type { EventType } from '../events.ts'
import type { Outcome, OutcomeType } from './outcome.ts'

/** What follows from one way in which a request for a user can end. */
export interface OutcomeRule {
  /** The status of a user whose fault it surely is, or null if it parks nobody, however often it comes. */
  parks: 'needs_reauth' | 'forbidden' | null
  /**
   * How it counts when Spotify as a whole is judged: `works`; `fails`; `refuses`, which is an outage only while
   * nobody is served, or null if it says nothing about Spotify.
   */
  counts: 'works' | 'fails' | 'refuses' | null
  /** The event that it raises: about the user where it parks, else about the app, or null if it raises none by itself. */
  event: EventType | null
  /** When the user is asked for again: by the plan, after the stored pause, or with back-off. */
  again: 'plan' | 'pause' | 'backoff'
  /** An answer came that cannot be read: when that lasts for an hour, somebody should look. */
  isUnreadable?: true
}

const fails = { parks: null, counts: 'fails', event: 'spotify_outage', again: 'backoff' } as const
const unreadable = { ...fails, isUnreadable: true } as const
const refuses = { parks: null, counts: 'refuses', event: null, again: 'backoff' } as const
const forbids = { ...refuses, parks: 'forbidden', event: 'user_forbidden' } as const
const reauth = { ...refuses, parks: 'needs_reauth', event: 'user_needs_reauth' } as const
const pauses = { parks: null, counts: null, event: 'spotify_paused', again: 'pause' } as const

/** The one table of what outcomes mean; who parks, counts, raises events or plans the next try reads it here. */
export const outcomeRules: Readonly<Record<OutcomeType, OutcomeRule>> = {
  ok: { parks: null, counts: 'works', event: null, again: 'plan' },
  // After the token was renewed.
  unauthorized: refuses,
  missing_scope: reauth,
  // Words change: a user who is refused while others are served is refused for themselves.
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
  // The accounts service is judged by itself, by the tokens that it renews.
  invalid_grant: { ...reauth, counts: null },
  invalid_client: { ...pauses, event: 'spotify_credentials' },
  token_refused: refuses,
  timeout: fails,
  unreachable: fails,
  too_large: fails,
}

/** Whether an outcome is an outage: the same request may work later, and it says nothing about who was asked for. */
export function isOutage({ type }: Pick<Outcome, 'type'>): boolean {
  return outcomeRules[type].counts === 'fails'
}

const allTypes = Object.keys(outcomeRules) as OutcomeType[]

/** Outcomes of the API that park a user when they are surely the user's. */
export const refusals: readonly OutcomeType[] = allTypes.filter(
  (type) => outcomeRules[type].parks !== null && outcomeRules[type].counts === 'refuses',
)

export const unreadableOutcomes: readonly OutcomeType[] = allTypes.filter(
  (type) => outcomeRules[type].isUnreadable,
)
