import { createRandom, type Random, zipfIndex } from '../random.ts'
import type { Catalogue } from './catalogue.ts'

/**
 * One play of a listener's day. A day is a pure function of (seed, listener, day), so any day can be computed
 * without the days before it. Times are milliseconds of the simulated day.
 *
 * A day has sessions: more in the evening, few at night, on some days none. A session follows an album, a
 * playlist, an artist or nothing; tracks are repeated, skipped, stopped and resumed. As at Spotify, a skip within
 * 30 seconds makes no play. Some sessions are offline: their plays arrive up to hours later, with their old times.
 */
export interface DayPlay {
  /** When the play ended, as in `played_at`. */
  endMs: number
  /** When Spotify's answers begin to show it; may be after the end of the day. */
  availableMs: number
  track: number
  context: Context | null
}

export interface Context {
  type: 'album' | 'playlist' | 'artist'
  /** Of an album: its first track. */
  index: number
}

export const dayMs = 86_400_000
const minutes = 60_000
const hours = 3_600_000
/** A track heard for less than this makes no play. */
export const minimumHeardMs = 30_000

/** Relative chance that a session starts in each hour of the day. */
const hourWeights = [
  1, 0.5, 0.3, 0.2, 0.2, 0.5, 2, 5, 7, 6, 5, 5, 6, 5, 5, 5, 6, 8, 8, 8, 8, 8, 6, 3,
] as const
const salts = { habits: 21, day: 22, favourites: 23 } as const

interface Habits {
  sessionsPerDay: number
  tracksPerSession: number
  idleDays: number
  skips: number
  repeats: number
  offline: number
  favourites: number
}

export function toDay(catalogue: Catalogue, listener: number, day: number): DayPlay[] {
  const habits = toHabits(catalogue.seed, listener)
  const random = createRandom(catalogue.seed, salts.day, listener, day)
  if (random.chance(habits.idleDays)) return []
  const plays: DayPlay[] = []
  let free = 0
  for (const startMs of toSessionStarts(random, habits)) {
    const session = toSession({ catalogue, listener, habits, random }, Math.max(startMs, free))
    plays.push(...session)
    free = (session.at(-1)?.endMs ?? free) + random.between(2, 20) * minutes
  }
  return plays.filter((play) => play.endMs < dayMs)
}

function toHabits(seed: number, listener: number): Habits {
  const random = createRandom(seed, salts.habits, listener)
  return {
    sessionsPerDay: 1 + 5 * random.next() ** 1.5,
    tracksPerSession: 3 + 22 * random.next() ** 2,
    idleDays: random.between(0.01, 0.25),
    skips: random.between(0.02, 0.3),
    repeats: random.between(0.01, 0.08),
    offline: random.chance(0.4) ? random.between(0.05, 0.3) : 0,
    favourites: random.between(0.3, 0.8),
  }
}

function toSessionStarts(random: Random, habits: Habits): number[] {
  const count = Math.round(habits.sessionsPerDay * random.between(0.4, 1.6))
  const starts: number[] = []
  for (let session = 0; session < count; session += 1) {
    starts.push((toHour(random) + random.next()) * hours)
  }
  return starts.sort((a, b) => a - b)
}

function toHour(random: Random): number {
  let rest = random.next() * hourWeights.reduce((sum, weight) => sum + weight, 0)
  for (const [hour, weight] of hourWeights.entries()) {
    rest -= weight
    if (rest < 0) return hour
  }
  return hourWeights.length - 1
}

interface Listening {
  catalogue: Catalogue
  listener: number
  habits: Habits
  random: Random
}

function toSession(listening: Listening, startMs: number): DayPlay[] {
  const { catalogue, habits, random } = listening
  const source = toSource(listening)
  const length = Math.max(1, Math.round(-Math.log(1 - random.next()) * habits.tracksPerSession))
  const heard: { endMs: number; track: number }[] = []
  let now = startMs
  let track = source.next(0)
  for (let place = 0; place < length && now < dayMs; place += 1) {
    if (place > 0 && !random.chance(habits.repeats)) track = source.next(place)
    for (const part of toHeardParts(random, catalogue.durationMs(track), habits.skips)) {
      now += part.heardMs
      if (part.heardMs >= minimumHeardMs) heard.push({ endMs: Math.floor(now), track })
      now += part.pauseMs
    }
  }
  const arrival = toArrival(random, habits, heard.at(-1)?.endMs ?? now)
  return heard.map(({ endMs, track }) => ({
    endMs,
    availableMs: Math.max(endMs, arrival ?? endMs),
    track,
    context: source.context,
  }))
}

/** When a late session's plays arrive, or null if they show at once. */
function toArrival(random: Random, habits: Habits, endMs: number): number | null {
  if (random.chance(habits.offline)) return Math.floor(endMs + random.between(0.3, 8) * hours)
  return random.chance(0.01) ? Math.floor(endMs + random.between(0.2, 3) * hours) : null
}

/** Heard whole, skipped, or stopped and resumed (two plays at Spotify). */
function toHeardParts(random: Random, durationMs: number, skips: number) {
  const pauseMs = random.chance(0.05) ? random.between(5_000, 4 * minutes) : random.between(0, 2_000)
  if (random.chance(skips)) return [{ heardMs: durationMs * random.next() ** 1.5, pauseMs: 0 }]
  if (!random.chance(0.01)) return [{ heardMs: durationMs, pauseMs }]
  const stoppedMs = durationMs * random.between(0.2, 0.8)
  return [
    { heardMs: stoppedMs, pauseMs: random.between(1, 10) * minutes },
    { heardMs: durationMs - stoppedMs, pauseMs },
  ]
}

interface Source {
  context: Context | null
  next(place: number): number
}

function toSource(listening: Listening): Source {
  const { catalogue, random } = listening
  const first = toTaste(listening)
  const kind = random.next()
  if (kind < 0.25) {
    const { firstTrack, totalTracks } = catalogue.albumTracks(first)
    return {
      context: { type: 'album', index: firstTrack },
      next: (place) => firstTrack + (place % totalTracks),
    }
  }
  if (kind < 0.65) {
    return { context: { type: 'playlist', index: random.int(5_000) }, next: () => toTaste(listening) }
  }
  if (kind < 0.72) {
    const artist = catalogue.track(first).artists[0] ?? 0
    return { context: { type: 'artist', index: artist }, next: () => toTaste(listening) }
  }
  return { context: null, next: () => toTaste(listening) }
}

/** One of the listener's sixty favourites, or any track of the catalogue; both by Zipf's law. */
function toTaste({ catalogue, listener, habits, random }: Listening): number {
  if (!random.chance(habits.favourites)) return zipfIndex(random.next(), catalogue.trackCount)
  const favourite = createRandom(catalogue.seed, salts.favourites, listener, zipfIndex(random.next(), 60))
  return favourite.int(catalogue.trackCount)
}
