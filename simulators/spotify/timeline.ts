import { LRUCache } from 'lru-cache'
import { fraction } from '../random.ts'
import type { Catalogue } from './catalogue.ts'
import { type Context, type DayPlay, dayMs, toDay } from './listener-day.ts'
import { type OddityShares, oddityOf, type PlayOddity, playOddities } from './oddities.ts'

/** A play in wall-clock time. */
export interface Play {
  /** When it ended, Unix ms. */
  playedAt: number
  /** When Spotify's answers begin to show it, Unix ms; late for offline plays. */
  availableAt: number
  track: number
  context: Context | null
  oddity: PlayOddity | null
  /** An item given by a test, shown as it is in place of one made from the catalogue. */
  item?: unknown
}

/** The number of plays that Spotify ever shows. */
export const windowSize = 50

/** Simulated days in which plays for a page are searched. */
const lookBackDays = 60

/** Day 0 of the simulated calendar; fixed, so that a restarted simulator shows the same plays. */
const epoch = Date.UTC(2026, 0, 1)

export interface Timeline {
  /** The up to 50 newest audible plays after `since` that a page can show at `now`, newest first. */
  recent(listener: number, range: Range & { isAudible?: (play: Play) => boolean }): Play[]
  /** Every play with since < playedAt <= now, oldest first, shown by a page or not. */
  happened(listener: number, range: Range): Generator<Play>
}

/** Both Unix ms. */
interface Range {
  now: number
  since: number
}

/**
 * Maps simulated days onto the wall clock. At speed s a simulated day lasts 24 h / s and a track of three minutes
 * 180 s / s, so `played_at` is always a real time. At speed 1 a day is one of the listener's own time zone.
 */
export function createTimeline(
  catalogue: Catalogue,
  pace: { speed: number; oddities: OddityShares },
): Timeline {
  const days = new LRUCache<string, Play[]>({ max: 1_000 })
  // Listeners live in all time zones: it is always evening somewhere.
  const aheadMs = (listener: number) => Math.floor(fraction(catalogue.seed, listener, 77) * dayMs)
  const toWall = (listener: number, simulatedMs: number) =>
    epoch + Math.ceil((simulatedMs - aheadMs(listener)) / pace.speed)
  const dayAt = (listener: number, wallMs: number) =>
    Math.floor(((wallMs - epoch) * pace.speed + aheadMs(listener)) / dayMs)

  const playsOf = (listener: number, day: number): Play[] => {
    const key = `${listener}/${day}`
    const known = days.get(key)
    if (known !== undefined) return known
    const plays = toWallPlays(toDay(catalogue, listener, day), (ms) => toWall(listener, day * dayMs + ms))
    const odd = withOddities(plays, {
      catalogue,
      shares: pace.oddities,
      parts: [catalogue.seed, listener, day],
    })
    days.set(key, odd)
    return odd
  }

  return {
    recent(listener, { now, since, isAudible = () => true }) {
      const plays: Play[] = []
      const last = dayAt(listener, now)
      const first = Math.max(dayAt(listener, since), last - lookBackDays)
      for (let day = last; day >= first && plays.length < windowSize; day -= 1) {
        for (const play of playsOf(listener, day).toReversed()) {
          if (play.availableAt <= now && play.playedAt > since && isAudible(play)) plays.push(play)
        }
      }
      return plays.slice(0, windowSize)
    },
    *happened(listener, { now, since }) {
      for (let day = dayAt(listener, since); day <= dayAt(listener, now); day += 1) {
        for (const play of playsOf(listener, day)) {
          if (play.playedAt > since && play.playedAt <= now) yield play
        }
      }
    },
  }
}

function toWallPlays(plays: readonly DayPlay[], toWall: (ms: number) => number): Play[] {
  return plays.map(({ endMs, availableMs, track, context }) => ({
    playedAt: toWall(endMs),
    availableAt: toWall(availableMs),
    track,
    context,
    oddity: null,
  }))
}

interface OddityChoice {
  catalogue: Catalogue
  shares: OddityShares
  parts: readonly number[]
}

function withOddities(plays: readonly Play[], { catalogue, shares, parts }: OddityChoice): Play[] {
  return plays.flatMap((play, place) => {
    const oddity = oddityOf(playOddities, shares, [...parts, place])
    if (oddity === null) return play
    return toOddPlays(
      { ...play, oddity },
      {
        previous: plays[place - 1],
        otherTrack: Math.floor(fraction(...parts, place, 7) * catalogue.trackCount),
      },
    )
  })
}

/** The one or two plays that an oddity makes of a play. */
export function toOddPlays(play: Play, around: { previous: Play | undefined; otherTrack: number }): Play[] {
  const { previous, otherTrack } = around
  if (play.oddity === 'same_millisecond') return [{ ...play, track: otherTrack, context: null }, play]
  if (play.oddity === 'repeated_track') return [{ ...play, track: previous?.track ?? play.track }]
  if (play.oddity === 'null_context') return [{ ...play, context: null }]
  return [play]
}
