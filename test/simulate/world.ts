import type { Outcome, OutcomeType } from '../../lib/spotify/outcome.ts'
import type { Random } from './random.ts'
import { momentsOf, openRandom } from './random.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** Options of the simulated world; rates are averages a day. */
export interface WorldOptions {
  users: number
  days: number
  seed: number
  /** Requests that Spotify allows in 24 hours. */
  quota: number
  /** Shortest play; a play lasts up to eight times as long. */
  playMs: number
  /** Outages of Spotify for all users, of up to `outageMs`. */
  outagesPerDay: number
  outageMs: number
  /** Share of requests with a single bad answer. */
  badAnswers: number
  /** 429 with a Retry-After of up to a minute. */
  rateLimitsPerDay: number
  /** Per user: the consent is revoked, or the user leaves the app's list. */
  revokedPerDay: number
  unlistedPerDay: number
  /** The life of a refresh token. */
  consentMs: number
}

/** Rates high enough to show within a year what was seen in the field. */
export const usualWorld: Omit<WorldOptions, 'users' | 'days'> = {
  seed: 1,
  quota: 600,
  playMs: 45_000,
  outagesPerDay: 1 / 14,
  outageMs: 4 * hour,
  badAnswers: 1 / 500,
  rateLimitsPerDay: 1 / 3,
  revokedPerDay: 1 / 400,
  unlistedPerDay: 1 / 400,
  consentMs: 180 * day,
}

/** A stretch of time, `to` excluded. */
interface Stretch {
  from: number
  to: number
}

type OutageKind = 'server_error' | 'refused' | 'invalid_grant'

/** The true state of a listener, known to the poller or not. */
export interface Listener {
  /** Ends of plays, in order. */
  plays: readonly number[]
  /** Since when the refresh token is dead, or the app's list lacks the user; null if it is not so. */
  deadSince: number | null
  unlistedSince: number | null
  /** When the user agreed. */
  authorizedAt: number
  /** Moments at which consent or listing end, in order. */
  revocations: number[]
  delistings: number[]
}

export class World {
  readonly listeners: Listener[]
  readonly #options: WorldOptions
  readonly #outages: (Stretch & { kind: OutageKind })[]
  readonly #limits: Stretch[]
  readonly #random: Random
  #quotaFrom = Number.NEGATIVE_INFINITY
  #quotaUsed = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.#random = openRandom(options.seed)
    const until = options.days * day
    const kinds: OutageKind[] = ['server_error', 'refused', 'invalid_grant']
    this.#outages = momentsOf(this.#random, options.outagesPerDay, until).map((from, i) => ({
      from,
      to: from + this.#random() * options.outageMs,
      kind: kinds[i % kinds.length] ?? 'server_error',
    }))
    this.#limits = momentsOf(this.#random, options.rateLimitsPerDay, until).map((from) => ({
      from,
      to: from + this.#random() * minute,
    }))
    this.listeners = Array.from({ length: options.users }, (_, i) => this.#toListener(i, until))
  }

  /** The kind of Spotify's outage at a time, or null. */
  outageAt(at: number): OutageKind | null {
    return this.#outages.find(({ from, to }) => from <= at && at < to)?.kind ?? null
  }

  /** Whether an outage or a limit fell into a stretch of time. */
  hasTrouble(stretch: Stretch): boolean {
    return [...this.#outages, ...this.#limits].some((t) => t.from < stretch.to && stretch.from < t.to)
  }

  /** Applies to a listener what happens up to `at`. */
  advance(listener: Listener, at: number): void {
    const { revocations, delistings } = listener
    listener.deadSince ??= firstBy(revocations, at)
    listener.unlistedSince ??= firstBy(delistings, at)
    const ends = listener.authorizedAt + this.#options.consentMs
    if (ends <= at) listener.deadSince ??= ends
  }

  /** The answer of the token endpoint, for a listener or (null) for the app. */
  askToken(listener: Listener | null, at: number): Outcome {
    const outage = this.outageAt(at)
    const isDead = listener !== null && listener.deadSince !== null
    if (isDead || (listener && outage === 'invalid_grant')) return message('invalid_grant')
    return this.#general(at, outage) ?? ok
  }

  /** The answer for a page of a listener, or (null) for an entity. */
  askApi(listener: Listener | null, at: number): Outcome {
    const outage = this.outageAt(at)
    const general = this.#overQuota(at) ?? this.#general(at, outage)
    if (general) return general
    return outage === 'refused' || (listener && listener.unlistedSince !== null) ? message('refused') : ok
  }

  #general(at: number, outage: OutageKind | null): Outcome | null {
    const limit = this.#limits.find(({ from, to }) => from <= at && at < to)
    if (limit) return { type: 'rate_limited', retryAfterMs: Math.max(1_000, Math.ceil(limit.to - at)) }
    if (outage === 'server_error' || this.#random() < this.#options.badAnswers) return message('server_error')
    return null
  }

  #overQuota(at: number): Outcome | null {
    if (at - this.#quotaFrom >= day) {
      this.#quotaFrom = at
      this.#quotaUsed = 0
    }
    this.#quotaUsed += 1
    if (this.#quotaUsed <= this.#options.quota) return null
    return { type: 'quota_exceeded', retryAfterMs: this.#quotaFrom + day - at }
  }

  #toListener(index: number, until: number): Listener {
    const { playMs, revokedPerDay, unlistedPerDay } = this.#options
    const random = openRandom(this.#options.seed * 7_919 + index)
    const plays: number[] = []
    for (const begin of momentsOf(random, 2, until)) {
      const end = begin + random() * 4 * hour
      // Some sessions are skipped through, most are listened to.
      const slowest = random() < 0.1 ? 1.2 : 8
      for (let at = Math.max(begin, plays.at(-1) ?? 0); at < end; ) {
        at += playMs * (1 + random() * (slowest - 1))
        plays.push(at)
      }
    }
    return {
      plays,
      ...{ deadSince: null, unlistedSince: null, authorizedAt: -random() * this.#options.consentMs },
      revocations: momentsOf(random, revokedPerDay, until),
      delistings: momentsOf(random, unlistedPerDay, until),
    }
  }
}

/** Removes the moments up to `at`; returns the first of them, or null. */
function firstBy(moments: number[], at: number): number | null {
  const count = moments.findIndex((moment) => moment > at)
  return moments.splice(0, count === -1 ? moments.length : count)[0] ?? null
}

const ok: Outcome = { type: 'ok', json: null }

function message(type: Exclude<OutcomeType, 'ok' | 'rate_limited' | 'quota_exceeded'>): Outcome {
  return { type, message: '' }
}
