import { LRUCache } from 'lru-cache'
import type { Catalogue } from './catalogue.ts'
import { toId } from './ids.ts'
import type { Context } from './listener-day.ts'
import {
  type ArtistOddity,
  artistOddities,
  type OddityShares,
  oddityOf,
  type TrackOddity,
  trackOddities,
} from './oddities.ts'
import { type PageItem, toContextObject } from './page.ts'
import { type Mode, toArtistObject, toLocalFileObject, toTrackObject } from './shapes.ts'
import type { Play } from './timeline.ts'

const aDayMs = 86_400_000
const itemStart = Buffer.from('{"track":')

/** Makes the JSON of catalogue entries and plays. It caches that of tracks, as most plays are of popular ones. */
export interface Renderer {
  trackJson(index: number): Buffer
  artistJson(index: number): string
  item(play: Play): PageItem
  /** Gives a track an oddity, wherever it is shown from now on. */
  makeTrackOdd(index: number, oddity: TrackOddity): void
  makeArtistOdd(index: number, oddity: ArtistOddity): void
}

interface RenderedTrack {
  json: Buffer
  id: string
  uri: string
  oddity: TrackOddity | null
}

export function createRenderer(catalogue: Catalogue, view: { mode: Mode; oddities: OddityShares }): Renderer {
  const { mode, oddities } = view
  const { seed } = catalogue
  const rendered = new LRUCache<number, RenderedTrack>({ max: 12_000 })
  const oddTracks = new Map<number, TrackOddity>()
  const oddArtists = new Map<number, ArtistOddity>()

  const trackOddity = (index: number) =>
    oddTracks.get(index) ?? oddityOf(trackOddities, oddities, [seed, 61, index])
  const artistOddity = (index: number) =>
    oddArtists.get(index) ?? oddityOf(artistOddities, oddities, [seed, 62, index])
  const render = (index: number): RenderedTrack => {
    const known = rendered.get(index)
    if (known !== undefined) return known
    const track = catalogue.track(index)
    const oddity = trackOddity(index)
    const json = Buffer.from(JSON.stringify(toTrackObject(catalogue, track, { mode, oddity })))
    const made = { json, id: track.id, uri: `spotify:track:${track.id}`, oddity }
    rendered.set(index, made)
    return made
  }
  const contextId = (context: Context) => {
    if (context.type === 'artist') return toId(seed, 'artist', context.index)
    return toId(seed, context.type, context.index)
  }

  return {
    trackJson: (index) => render(index).json,
    artistJson: (index) =>
      JSON.stringify(toArtistObject(catalogue.artist(index), { mode, oddity: artistOddity(index) })),
    item(play) {
      if (play.item !== undefined) return toGivenItem(play)
      const context = play.context === null ? null : toContextObject(play.context, contextId(play.context))
      const shown = toShownTrack(play, { catalogue, render })
      const playedAt = toShownPlayedAt(play)
      const time = playedAt === null ? '' : `"played_at":"${playedAt}",`
      const rest = Buffer.from(`,${time}"context":${JSON.stringify(context)}}`)
      return {
        json: Buffer.concat([itemStart, shown.json, rest]),
        playedAt,
        trackId: shown.id,
        trackUri: shown.uri,
        oddity: play.oddity ?? shown.oddity,
        at: play.playedAt,
      }
    },
    makeTrackOdd: (index, oddity) => {
      oddTracks.set(index, oddity)
      rendered.delete(index)
    },
    makeArtistOdd: (index, oddity) => void oddArtists.set(index, oddity),
  }
}

function toShownTrack(
  play: Play,
  { catalogue, render }: { catalogue: Catalogue; render: (index: number) => RenderedTrack },
): { json: Buffer; id: string | null; uri: string | null; oddity: TrackOddity | null } {
  if (play.oddity === 'null_track') return { json: Buffer.from('null'), id: null, uri: null, oddity: null }
  if (play.oddity !== 'local_file') return render(play.track)
  const file = toLocalFileObject(catalogue.track(play.track))
  return { json: Buffer.from(JSON.stringify(file)), id: null, uri: file.uri, oddity: null }
}

function toShownPlayedAt(play: Play): string | null {
  if (play.oddity === 'missing_played_at') return null
  const shift = play.oddity === 'future_played_at' ? aDayMs : 0
  return new Date(play.playedAt + shift).toISOString()
}

function toGivenItem(play: Play): PageItem {
  return {
    json: Buffer.from(JSON.stringify(play.item)),
    playedAt: textAt(play.item, 'played_at'),
    trackId: textAt(valueAt(play.item, 'track'), 'id'),
    trackUri: textAt(valueAt(play.item, 'track'), 'uri'),
    oddity: 'given',
    at: play.playedAt,
  }
}

function valueAt(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return new Map<string, unknown>(Object.entries(value)).get(name)
}

function textAt(value: unknown, name: string): string | null {
  const found = valueAt(value, name)
  return typeof found === 'string' ? found : null
}
