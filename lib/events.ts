import type { OperationalEvent } from './topology.ts'

/**
 * Types of operational events, each documented once. The alerter posts them, `npx songswap events` prints them.
 */
export const eventTypes = {
  user_needs_reauth: "A user's refresh token is dead: they must connect again.",
  consent_ending: "A user's consent ends within 30, 7 or 1 days: they should connect again before.",
  user_forbidden: "Spotify refuses a user, most often because they are not on the app's allow-list.",
  user_profile_incomplete: 'A user has no display name; the Spotify id stands in for it.',
  spotify_outage: 'Spotify fails for many users at once: nobody is parked.',
  spotify_paused: 'Spotify asked for a pause, or its quota is spent.',
  spotify_premium_lapsed: "The app owner's Premium has lapsed: every request is refused.",
  spotify_endpoint_gated: 'Spotify refuses an endpoint to this app (Development Mode).',
  spotify_credentials: 'Spotify refuses the client id or secret.',
  tokens_unreadable: 'Stored tokens cannot be opened with the keys at hand (TOKEN_ENCRYPTION_KEYS).',
  tokens_of_another_app: 'Stored tokens were given to another app than SPOTIFY_CLIENT_ID.',
  spotify_unreadable: 'What Spotify answers for a user has not been readable for an hour.',
  clock_skew: "This machine's clock and Spotify's are minutes apart.",
  budget_short: 'The request budget cannot poll every user often enough to be safe.',
  polling_stopped: 'Users are due and nobody is polled: plays get lost.',
  user_unpolled: 'A user has not been polled for hours beyond their plan.',
  polling_unknown: 'It is not known whether users are polled: Postgres cannot be read.',
  gap_detected: 'Plays are known to be missing for a user.',
  dead_letter_flood: 'A consumer stopped taking records: too many became dead letters.',
  dependency_down: 'A server that a service depends on has failed for minutes.',
  partition_unreadable: 'A group cannot read a place of a topic: its partition waits there.',
  record_held_up: 'A record fails again and again although the server answers: its partition waits.',
  offset_out_of_range: 'A consumer group asked for records that the topic had already forgotten.',
  store_overwrites: 'The object store ignores If-None-Match: the archiver puts nothing.',
  unsafe_setting: 'A server is set so that records can be lost, changed or refused.',
  log_replaced:
    'A topic was made again, or lost its tail: a consumer group reads it from its earliest record.',
  archive_incarnation:
    'The archive holds another log of a partition: what follows goes into the next incarnation of it.',
  consumer_lagging: 'A consumer group falls behind.',
  service_down: 'A consumer group has no members.',
} as const

export type EventType = keyof typeof eventTypes
export type Severity = 'info' | 'warning' | 'critical'

/** An event as a service reports it; {@link toEvent} adds the service's name and the time. */
export interface Notice {
  type: EventType
  subject: string
  severity: Severity
  /** `resolved` ends what `raised` of the same type and subject began. */
  state?: 'raised' | 'resolved'
  message: string
  details?: Record<string, string>
}

/** The record of `ops.events` for a notice. */
export function toEvent(notice: Notice, service: string, at: number): OperationalEvent {
  return {
    type: notice.type,
    subject: notice.subject,
    severity: notice.severity,
    state: notice.state ?? 'raised',
    message: notice.message,
    details: notice.details ?? {},
    service,
    at,
  }
}
