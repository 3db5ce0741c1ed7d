import type { MetadataKind } from '../../lib/topology.ts'

/** The source of audio features; `auto`: Spotify while it serves this app, else ReccoBeats. */
export type FeaturesProvider = 'auto' | 'spotify' | 'reccobeats' | 'none'

/** A source of metadata. Each has a worker of its own, so that a pause of one does not hold up the other. */
export type Source = 'spotify' | 'reccobeats'

/** The endpoints that Spotify may refuse to an app, by the names they are stored under. */
export const capabilities = {
  'tracks.batch': 'GET /tracks?ids=',
  'tracks.single': 'GET /tracks/{id}',
  'artists.batch': 'GET /artists?ids=',
  'artists.single': 'GET /artists/{id}',
  'audio-features.spotify': 'GET /audio-features',
} as const

export type Capability = keyof typeof capabilities

/** The capabilities that are refused now. */
export type Refused = ReadonlySet<Capability>

export interface Endpoint {
  path: string
  /** Property of a batch answer that holds the entities. */
  property: string
  batchMax: number
  batch: Capability
  single: Capability
}

/** Spotify's endpoints by kind, with its own limits. */
export const endpoints: Record<MetadataKind, Endpoint> = {
  track: {
    path: '/tracks',
    property: 'tracks',
    batchMax: 50,
    batch: 'tracks.batch',
    single: 'tracks.single',
  },
  artist: {
    path: '/artists',
    property: 'artists',
    batchMax: 50,
    batch: 'artists.batch',
    single: 'artists.single',
  },
  'audio-features': {
    path: '/audio-features',
    property: 'audio_features',
    batchMax: 100,
    batch: 'audio-features.spotify',
    single: 'audio-features.spotify',
  },
}

/** ReccoBeats silently ignores ids beyond this number. */
export const reccobeatsBatchMax = 40

/** The source that a request goes to, or null if none answers it. */
export function routeOf(
  kind: MetadataKind,
  options: { provider: FeaturesProvider; refused: Refused },
): Source | null {
  const { provider, refused } = options
  if (kind !== 'audio-features') return refused.has(endpoints[kind].single) ? null : 'spotify'
  if (provider === 'none') return null
  if (provider === 'reccobeats') return 'reccobeats'
  if (!refused.has('audio-features.spotify')) return 'spotify'
  return provider === 'auto' ? 'reccobeats' : null
}

/** How many ids may be asked for in one request. */
export function batchMaxOf(source: Source, kind: MetadataKind, refused: Refused): number {
  if (source === 'reccobeats') return reccobeatsBatchMax
  const { batch, batchMax } = endpoints[kind]
  return refused.has(batch) ? 1 : batchMax
}
