import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createCatalogue } from './catalogue.ts'
import { toArtistObject, toTrackObject } from './shapes.ts'

const catalogue = createCatalogue(7, 5_000)
const indices = fc.nat(4_999)

test('the same seed gives the same catalogue', () => {
  fc.assert(
    fc.property(indices, (index) => {
      expect(createCatalogue(7, 5_000).track(index)).toEqual(catalogue.track(index))
    }),
  )
  expect(createCatalogue(8, 5_000).track(0).id).not.toBe(catalogue.track(0).id)
})

test('every track has an id of its own', () => {
  const ids = Array.from({ length: 5_000 }, (_, index) => catalogue.track(index).id)
  expect(new Set(ids).size).toBe(5_000)
})

test('all tracks of an album agree on the album', () => {
  fc.assert(
    fc.property(indices, (index) => {
      const { album } = catalogue.track(index)
      const { firstTrack, totalTracks } = album
      expect(index).toBeGreaterThanOrEqual(firstTrack)
      expect(index).toBeLessThan(firstTrack + totalTracks)
      for (let track = firstTrack; track < firstTrack + totalTracks; track += 1) {
        expect(catalogue.track(track).album).toEqual(album)
        expect(catalogue.track(track).trackNumber).toBe(track - firstTrack + 1)
      }
    }),
  )
})

test('tracks have plausible lengths, artists, ISRCs and release dates of three precisions', () => {
  const precisions = new Set<string>()
  let several = 0
  for (let index = 0; index < 2_000; index += 1) {
    const track = catalogue.track(index)
    expect(track.durationMs).toBeGreaterThan(30_000)
    expect(track.durationMs).toBeLessThan(720_001)
    expect(track.isrc).toMatch(/^[A-Z]{2}[A-Z0-9]{3}\d{7}$/)
    expect(new Set(track.artists).size).toBe(track.artists.length)
    for (const artist of track.artists)
      expect(catalogue.artistIndex(catalogue.artist(artist).id)).toBe(artist)
    precisions.add(`${track.album.releaseDatePrecision} ${track.album.releaseDate.length}`)
    if (track.artists.length > 1) several += 1
  }
  expect([...precisions].sort()).toEqual(['day 10', 'month 7', 'year 4'])
  expect(several).toBeGreaterThan(300)
})

test('Development Mode lacks exactly the removed fields', () => {
  const track = catalogue.track(3)
  const extended = toTrackObject(catalogue, track, { mode: 'extended', oddity: null })
  const development = toTrackObject(catalogue, track, { mode: 'development', oddity: null })
  expect(missing(extended, development)).toEqual(['available_markets', 'popularity'])
  const artist = catalogue.artist(track.album.artist)
  expect(
    missing(
      toArtistObject(artist, { mode: 'extended', oddity: null }),
      toArtistObject(artist, { mode: 'development', oddity: null }),
    ),
  ).toEqual(['followers', 'genres', 'popularity'])
  expect(JSON.stringify(development.album)).not.toContain('available_markets')
})

test('each track oddity changes the track as its name says', () => {
  const track = catalogue.track(3)
  const odd = (oddity: Parameters<typeof toTrackObject>[2]['oddity']) =>
    toTrackObject(catalogue, track, { mode: 'extended', oddity })
  expect(odd('nul_in_name').name).toContain('\u0000')
  expect(JSON.stringify(odd('lone_surrogate_in_name'))).toContain('\\ud83d"')
  expect([...String(odd('long_name').name)]).toHaveLength(400)
  expect(odd('missing_popularity')).not.toHaveProperty('popularity')
  expect(odd('missing_external_ids')).not.toHaveProperty('external_ids')
  expect(odd('empty_images').album).toHaveProperty('images', [])
})

function missing(full: object, less: object): string[] {
  return Object.keys(full).filter((key) => !(key in less))
}
