import { hash32 } from '../random.ts'
import { type Catalogue, createCatalogue } from './catalogue.ts'
import { createFaultPlan, type FaultPlan } from './faults.ts'
import { createLimits } from './limits.ts'
import { createListeners, type Listeners } from './listeners.ts'
import {
  type ArtistOddity,
  isOneOf,
  type PlayOddity,
  playOddities,
  type TrackOddity,
  trackOddities,
} from './oddities.ts'
import type { SpotifySimulatorOptions } from './options.ts'
import { createRenderer, type Renderer } from './renderer.ts'
import { createTimeline, type Play, toOddPlays } from './timeline.ts'
import { sealToken } from './tokens.ts'
import { createTruth, type Truth } from './truth.ts'

/** A play given by a test. Without any field: a rarely played track, now, without context. */
export interface GivenPlay {
  /** Unix ms; default now. */
  playedAt?: number
  /** When pages begin to show it; default `playedAt`, now at the latest. */
  availableAt?: number
  /** Index in the catalogue. */
  track?: number
  oddity?: PlayOddity | TrackOddity
  /** The item as pages show it, in place of one made from the catalogue. */
  item?: unknown
}

/** The state that the routes share. */
export interface World {
  options: SpotifySimulatorOptions
  catalogue: Catalogue
  listeners: Listeners
  renderer: Renderer
  faults: FaultPlan
  limits: ReturnType<typeof createLimits>
  truth: Truth
  tally: Tally
  now(): number
  /** The clock's first reading. */
  startedAt: number
  advance(ms: number): void
  givePlay(listener: number, play: GivenPlay): Play[]
  makeArtistOdd(artist: number, oddity: ArtistOddity): void
  /** A refresh token as from a user's consent, valid for any client. */
  refreshToken(listener: number): string
}

/** Counts of answers by endpoint and status, and of faults by name. */
interface Tally {
  answers: Record<string, number>
  faults: Record<string, number>
}

const scopes = 'user-read-recently-played user-read-currently-playing'

export function createWorld(options: SpotifySimulatorOptions): World {
  const { seed, oddities, speed } = options
  const catalogue = createCatalogue(seed, options.tracks)
  const timeline = createTimeline(catalogue, { speed, oddities })
  const listeners = createListeners({
    seed,
    count: options.listeners,
    timeline,
    playsSince: options.plays === 'none' ? null : options.playsSince,
  })
  const renderer = createRenderer(catalogue, { mode: options.mode, oddities })
  const clock = createClock(options)
  return {
    options,
    catalogue,
    listeners,
    renderer,
    faults: createFaultPlan({
      seed,
      shares: options.faults,
      largeRetryAfterSeconds: options.largeRetryAfterSeconds,
    }),
    limits: createLimits(options),
    truth: createTruth({ depth: options.truth, keepPages: options.keepPages }),
    tally: { answers: {}, faults: {} },
    ...clock,
    givePlay: createGiver({ catalogue, listeners, renderer, now: clock.now }),
    makeArtistOdd: renderer.makeArtistOdd,
    refreshToken(listener) {
      const generation = listeners.get(listener)?.generation ?? 0
      const ended = listeners.get(listener)?.consentEnded?.until ?? 0
      const authorizedAt = Math.max(clock.now(), ended + 1)
      return sealToken(seed, {
        kind: 'refresh',
        listener,
        client: null,
        scope: scopes,
        generation,
        authorizedAt,
      })
    },
  }
}

function createGiver(parts: Pick<World, 'catalogue' | 'listeners' | 'renderer' | 'now'>): World['givePlay'] {
  const { catalogue, listeners, renderer } = parts
  const { trackCount } = catalogue
  let given = 0
  return (listener, play) => {
    given += 1
    const now = parts.now()
    const track = play.track ?? trackCount - 1 - (given % Math.ceil(trackCount / 2))
    if (play.oddity && isOneOf(trackOddities, play.oddity)) renderer.makeTrackOdd(track, play.oddity)
    const plays = toOddPlays(toGivenPlay(play, { now, track }), {
      previous: listeners.window(listener, now)[0],
      otherTrack: hash32(catalogue.seed, given) % trackCount,
    })
    listeners.give(listener, plays)
    return plays
  }
}

function createClock({ startAt, clock }: SpotifySimulatorOptions) {
  const started = Date.now()
  let reading = startAt ?? started
  return {
    startedAt: reading,
    now: () => (clock === 'stopped' ? reading : reading + (Date.now() - started)),
    advance: (ms: number) => {
      reading += ms
    },
  }
}

function toGivenPlay(play: GivenPlay, around: { now: number; track: number }): Play {
  const { oddity, playedAt = around.now } = play
  return {
    playedAt,
    availableAt: play.availableAt ?? Math.min(playedAt, around.now),
    track: around.track,
    context: null,
    oddity: oddity && isOneOf(playOddities, oddity) ? oddity : null,
    ...(play.item !== undefined && { item: play.item }),
  }
}
