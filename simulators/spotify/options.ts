import type { FaultName } from './faults.ts'
import type { OddityShares } from './oddities.ts'
import type { Mode } from './shapes.ts'
import type { TruthDepth } from './truth.ts'

export interface SpotifySimulatorOptions {
  /** Default 127.0.0.1. */
  host: string
  /** Default 0: any free port. */
  port: number
  /** The same seed gives the same catalogue, listeners, plays and tokens. Default 1. */
  seed: number
  /** Number of accounts. Default 10. */
  listeners: number
  /** Size of the catalogue. Default 20,000. */
  tracks: number
  /** Simulated time runs so many times faster; 1 to 10,000. Default 1. */
  speed: number
  /** Default `development`. */
  mode: Mode
  /** `days`: listeners have their days (and had them before the start); `none`: only plays given by tests. */
  plays: 'days' | 'none'
  /** Plays before this (Unix ms) never were. Default: no limit, so the first page is full. */
  playsSince: number
  /** The clock's first reading, Unix ms; start in the past to `advance` it later. Default: now. */
  startAt: number | null
  /** A stopped clock moves only by `advance`. Default `running`. */
  clock: 'running' | 'stopped'
  /** The one registered app. Default null: any id and secret will do. */
  client: { id: string; secret: string; redirectUris: readonly string[] } | null
  /** `/authorize` sends back a code at once instead of showing a page. Default false. */
  autoApprove: boolean
  accessTokenSeconds: number
  /** Six months at Spotify, from the user's consent. */
  refreshTokenSeconds: number
  /** Whether a refresh answers with a new refresh token, which kills the old one. Default `never`. */
  refreshTokenRotation: 'never' | 'rarely' | 'always'
  /** Probability of each fault per request. */
  faults: Partial<Record<FaultName, number>>
  oddities: OddityShares
  /** The Retry-After of `quota_exceeded`. Default 49,861: half a day. */
  largeRetryAfterSeconds: number
  /** Per client id; default without limit. */
  requestsPer30Seconds: number
  dailyRequests: number
  quotaWindowMs: number
  /** Before every answer. Default 0. */
  latencyMs: number
  hangMs: number
  slowBodyMs: number
  /** The share of tracks that ReccoBeats knows. Default 0.67. */
  reccobeatsCoverage: number
  /** Default `full`. */
  truth: TruthDepth
  /** How many delivered pages to keep with their bodies. Default 0. */
  keepPages: number
}

export const spotifyDefaults: SpotifySimulatorOptions = {
  host: '127.0.0.1',
  port: 0,
  seed: 1,
  listeners: 10,
  tracks: 20_000,
  speed: 1,
  mode: 'development',
  plays: 'days',
  playsSince: 0,
  startAt: null,
  clock: 'running',
  client: null,
  autoApprove: false,
  accessTokenSeconds: 3600,
  refreshTokenSeconds: 15_552_000,
  refreshTokenRotation: 'never',
  faults: {},
  oddities: {},
  largeRetryAfterSeconds: 49_861,
  requestsPer30Seconds: Number.POSITIVE_INFINITY,
  dailyRequests: Number.POSITIVE_INFINITY,
  quotaWindowMs: 86_400_000,
  latencyMs: 0,
  hangMs: 60_000,
  slowBodyMs: 2_000,
  reccobeatsCoverage: 0.67,
  truth: 'full',
  keepPages: 0,
}
