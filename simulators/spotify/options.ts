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
  /** Factor by which simulated time runs faster; 1 to 10,000. Default 1. */
  speed: number
  /** Default `development`. */
  mode: Mode
  /** `days`: plays are generated, also before the start; `none`: only plays given by tests. */
  plays: 'days' | 'none'
  /** Unix ms: generated plays begin here. Default 0, so the first page is full. */
  playsSince: number
  /** The clock's first reading, Unix ms; start in the past to `advance` it later. Default: now. */
  startAt: number | null
  /** A stopped clock moves only through `advance`. Default `running`. */
  clock: 'running' | 'stopped'
  /** The only registered app. Default null: any id and secret are accepted. */
  client: { id: string; secret: string; redirectUris: readonly string[] } | null
  /** `/authorize` sends back a code at once instead of showing a page. Default false. */
  autoApprove: boolean
  accessTokenSeconds: number
  /** Counted from the user's consent. Default 180 days; six months at Spotify. */
  refreshTokenSeconds: number
  /** Whether a refresh answers with a new refresh token, which kills the old one. Default `never`. */
  refreshTokenRotation: 'never' | 'rarely' | 'always'
  /** Probability of each fault per request. */
  faults: Partial<Record<FaultName, number>>
  oddities: OddityShares
  /** Retry-After of `quota_exceeded`. Default 49,861: nearly 14 hours. */
  largeRetryAfterSeconds: number
  /** Per client id. Default: no limit. */
  requestsPer30Seconds: number
  dailyRequests: number
  quotaWindowMs: number
  /** Before every answer. Default 0. */
  latencyMs: number
  hangMs: number
  slowBodyMs: number
  /** Share of tracks that ReccoBeats knows. Default 0.67. */
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
