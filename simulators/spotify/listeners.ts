import { createRandom, hash32 } from '../random.ts'
import { toId } from './ids.ts'
import { toArtistName } from './names.ts'
import { type Play, type Timeline, windowSize } from './timeline.ts'

/** Changes that a test or a user makes to an account. */
export interface ListenerChanges {
  /** `revoked`: the user withdrew the app's access; `expired`: the consent has ended. */
  refreshToken?: 'valid' | 'revoked' | 'expired'
  /** False if the app's list of users (Development Mode) lacks the account. */
  listed?: boolean
  displayName?: string | null
  /** False stops the plays that happen from now on; true starts them again. */
  listening?: boolean
  /** Access tokens issued before now answer 401. */
  expireAccessTokens?: true
}

export interface Listener {
  index: number
  spotifyId: string
  /** Consents up to `until` (Unix ms) are void; a later one is valid. */
  consentEnded: { reason: 'revoked' | 'expired'; until: number } | null
  listed: boolean
  displayName: string | null
  /** Refresh tokens below this generation are dead. */
  generation: number
  /** Access tokens issued before this (Unix ms) are dead. */
  accessTokensFrom: number
  /** Silent stretches [from, to). */
  silences: { from: number; to: number }[]
  /** Plays given by tests, newest first. */
  given: Play[]
}

export interface Listeners {
  count: number
  get(index: number): Listener | null
  /** By index in decimal, or by Spotify id. */
  find(text: string): Listener | null
  change(index: number, changes: ListenerChanges, now: number): Listener | null
  give(index: number, plays: readonly Play[]): void
  /** The plays that a page can show now, generated and given: newest first, 50 at most. */
  window(index: number, now: number): Play[]
  /**
   * Plays after `since`, shown by a page or not, each group oldest first: given ones, also of the future, then
   * generated ones up to `now`.
   */
  happened(index: number, range: { now: number; since: number }): Generator<Play>
}

export interface ListenersOptions {
  seed: number
  count: number
  timeline: Timeline
  /** Unix ms: generated plays begin here; null if there are only the plays that tests give. */
  playsSince: number | null
}

/** A listener's state is made on first use, so tens of thousands of idle ones cost nothing. */
export function createListeners(options: ListenersOptions): Listeners {
  const { count, timeline, playsSince } = options
  const touched = new Map<number, Listener>()
  const get = (index: number): Listener | null => {
    if (!Number.isInteger(index) || index < 0 || index >= count) return null
    const listener = touched.get(index) ?? toListener(options.seed, index)
    touched.set(index, listener)
    return listener
  }
  return {
    count,
    get,
    find: (text) => get(Number(/^\d+$/.test(text) ? text : (/^listener-(\d+)$/.exec(text)?.[1] ?? '-1'))),
    change(index, changes, now) {
      const listener = get(index)
      if (listener) applyChanges(listener, changes, now)
      return listener
    },
    give(index, plays) {
      const listener = get(index)
      if (listener === null) return
      listener.given = byNewest([...plays, ...listener.given])
    },
    window(index, now) {
      const listener = get(index)
      if (listener === null) return []
      const given = listener.given.filter((play) => play.availableAt <= now)
      if (playsSince === null) return given.slice(0, windowSize)
      const isAudible = (play: Play) => !isSilent(listener, play)
      const generated = timeline.recent(index, { now, since: playsSince, isAudible })
      return given.length === 0 ? generated : byNewest([...given, ...generated]).slice(0, windowSize)
    },
    *happened(index, { now, since }) {
      const listener = get(index)
      if (listener === null) return
      for (const play of listener.given.toReversed()) if (play.playedAt > since) yield play
      if (playsSince === null) return
      for (const play of timeline.happened(index, { now, since: Math.max(since, playsSince) })) {
        if (!isSilent(listener, play)) yield play
      }
    },
  }
}

function toListener(seed: number, index: number): Listener {
  return {
    index,
    spotifyId: `listener-${index}`,
    consentEnded: null,
    listed: true,
    displayName: toArtistName(createRandom(seed, 71, index)),
    generation: 0,
    accessTokensFrom: 0,
    silences: [],
    given: [],
  }
}

function applyChanges(listener: Listener, changes: ListenerChanges, now: number): void {
  const { refreshToken, listed, displayName, listening, expireAccessTokens } = changes
  if (refreshToken === 'valid') listener.consentEnded = null
  else if (refreshToken !== undefined) listener.consentEnded = { reason: refreshToken, until: now }
  if (listed !== undefined) listener.listed = listed
  if (displayName !== undefined) listener.displayName = displayName
  if (expireAccessTokens) listener.accessTokensFrom = now
  const silence = listener.silences.at(-1)
  const silent = silence?.to === Number.POSITIVE_INFINITY
  if (listening === false && !silent) listener.silences.push({ from: now, to: Number.POSITIVE_INFINITY })
  if (listening === true && silence && silent) silence.to = now
}

/** Stable: two plays of one time keep their order. */
function byNewest(plays: readonly Play[]): Play[] {
  return plays.toSorted((a, b) => b.playedAt - a.playedAt)
}

function isSilent(listener: Listener, play: Play): boolean {
  return listener.silences.some(({ from, to }) => play.playedAt >= from && play.playedAt < to)
}

/** The `/me` object; Development Mode lacks country, email, explicit_content, followers and product. */
export function toProfile(seed: number, listener: Listener, mode: 'development' | 'extended') {
  const { spotifyId, displayName } = listener
  return {
    account_id: toId(seed, 'account', listener.index),
    ...(mode === 'extended' && { country: 'DE', email: `${spotifyId}@example.com` }),
    display_name: displayName,
    ...(mode === 'extended' && { explicit_content: { filter_enabled: false, filter_locked: false } }),
    external_urls: { spotify: `https://open.spotify.com/user/${spotifyId}` },
    ...(mode === 'extended' && { followers: { href: null, total: hash32(seed, 72, listener.index) % 500 } }),
    href: `https://api.spotify.com/v1/users/${spotifyId}`,
    id: spotifyId,
    images: [],
    ...(mode === 'extended' && { product: 'premium' }),
    type: 'user',
    uri: `spotify:user:${spotifyId}`,
  }
}
