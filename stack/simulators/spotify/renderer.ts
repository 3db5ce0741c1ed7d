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

/** Makes JSON of catalogue entries and plays, and keeps that of popular tracks: most plays are theirs. */
export interface Renderer {
  trackJson(index: number): string
  artistJson(index: number): string
  item(play: Play): PageItem
  /** Gives a track an oddity, wherever it is shown from now on. */
  makeTrackOdd(index: number, oddity: TrackOddity): void
  makeArtistOdd(index: number, oddity: ArtistOddity): void
}

export function createRenderer(catalogue: Catalogue, view: { mode: Mode; oddities: OddityShares }): Renderer {
  const { mode, oddities } = view
  const { seed } = catalogue
  const rendered = new LRUCache<number, string>({ max: 4_000 })
  const oddTracks = new Map<number, TrackOddity>()
  const oddArtists = new Map<number, ArtistOddity>()

  const trackOddity = (index: number) =>
    oddTracks.get(index) ?? oddityOf(trackOddities, oddities, [seed, 61, index])
  const artistOddity = (index: number) =>
    oddArtists.get(index) ?? oddityOf(artistOddities, oddities, [seed, 62, index])
  const trackJson = (index: number): string => {
    const known = rendered.get(index)
    if (known !== undefined) return known
    const track = catalogue.track(index)
    const made = JSON.stringify(toTrackObject(catalogue, track, { mode, oddity: trackOddity(index) }))
    rendered.set(index, made)
    return made
  }
  const contextId = (context: Context) => {
    if (context.type === 'artist') return toId(seed, 'artist', context.index)
    return toId(seed, context.type, context.index)
  }

  return {
    trackJson,
    artistJson: (index) =>
      JSON.stringify(toArtistObject(catalogue.artist(index), { mode, oddity: artistOddity(index) })),
    item(play) {
      if (play.item !== undefined) return toGivenItem(play)
      const context = play.context === null ? null : toContextObject(play.context, contextId(play.context))
      const shown = toShownTrack(play, { catalogue, trackJson })
      const playedAt = toShownPlayedAt(play)
      const parts = [
        `"track":${shown.json}`,
        ...(playedAt === null ? [] : [`"played_at":"${playedAt}"`]),
        `"context":${JSON.stringify(context)}`,
      ]
      return {
        json: `{${parts.join(',')}}`,
        playedAt,
        trackId: shown.id,
        trackUri: shown.uri,
        oddity: play.oddity ?? trackOddity(play.track),
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
  { catalogue, trackJson }: { catalogue: Catalogue; trackJson: (index: number) => string },
) {
  if (play.oddity === 'null_track') return { json: 'null', id: null, uri: null }
  if (play.oddity === 'local_file') {
    const file = toLocalFileObject(catalogue.track(play.track))
    return { json: JSON.stringify(file), id: null, uri: file.uri }
  }
  const id = toId(catalogue.seed, 'track', play.track)
  return { json: trackJson(play.track), id, uri: `spotify:track:${id}` }
}

function toShownPlayedAt(play: Play): string | null {
  if (play.oddity === 'missing_played_at') return null
  const shift = play.oddity === 'future_played_at' ? aDayMs : 0
  return new Date(play.playedAt + shift).toISOString()
}

function toGivenItem(play: Play): PageItem {
  return {
    json: JSON.stringify(play.item),
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
