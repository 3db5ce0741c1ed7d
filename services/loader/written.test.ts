import { describe, expect, test } from 'vitest'
import type { Catalogue, TrackRow } from './catalogue.ts'
import { textOf } from './fields.ts'
import type { Version } from './versions.ts'
import { toAlbumRow, toArtistRows, toTrackRow, unseenTrack } from './versions.ts'
import { Written } from './written.ts'

const none: Catalogue = {
  albums: [],
  artists: [],
  tracks: [],
  trackPopularity: [],
  artistPopularity: [],
  artistFollowers: [],
  features: [],
}
const track = (fetchedAt: number, name: string, over: Partial<TrackRow> = {}): Catalogue => ({
  ...none,
  tracks: [{ ...unseenTrack('t'), name, fetchedAt, ...over }],
})
const popularity = (at: number, value: number, day = '2026-11-24'): Catalogue => ({
  ...none,
  trackPopularity: [{ id: 't', day, value, at }],
})

/** A version of track `t`, and the rows that it is stored as. */
function version(fetchedAt: number, name: string, album = 'Album'): { seen: Version; rows: Catalogue } {
  const entity = { id: 't', name, album: { id: 'b', name: album }, artists: [{ id: 'a', name: 'Artist' }] }
  const seen = { entity, fetchedAt, read: textOf }
  const albums = [toAlbumRow(seen)].filter((row) => row !== null)
  return { seen, rows: { ...none, tracks: [toTrackRow('t', seen)], albums, artists: toArtistRows(seen) } }
}

describe('a version is covered', () => {
  test('when its track, album and artists are committed as it shows them', () => {
    const written = new Written()
    const { seen, rows } = version(1, 'A')
    expect(written.covers('t', seen)).toBe(false)
    for (const part of [{ tracks: rows.tracks }, { albums: rows.albums }]) {
      written.remember({ ...none, ...part })
      expect(written.covers('t', seen)).toBe(false)
    }
    written.remember({ ...none, artists: rows.artists })
    expect(written.covers('t', seen)).toBe(true)
    expect(written.covers('t', version(2, 'A').seen)).toBe(true)
    expect(written.covers('t', version(2, 'B').seen)).toBe(false)
  })

  test('until one of its rows is written in another form', () => {
    const written = new Written()
    const { seen, rows } = version(1, 'A')
    written.remember(rows)
    expect(written.covers('t', seen)).toBe(true)
    written.remember({ ...none, albums: version(2, 'A', 'Album (Remastered)').rows.albums })
    expect(written.covers('t', { ...seen, fetchedAt: 3 })).toBe(false)
  })

  test('and counts as seen then: an older version does not win over it', () => {
    const written = new Written()
    const { seen, rows } = version(1, 'A')
    written.remember(rows)
    expect(written.covers('t', { ...seen, fetchedAt: 5 })).toBe(true)
    expect(written.unwritten(version(3, 'B', 'Other').rows)).toEqual(none)
    expect(written.unwritten(version(6, 'B', 'Other').rows).tracks).toHaveLength(1)
  })

  test('never, when only its id is known', () => {
    const written = new Written()
    const { seen, rows } = version(1, 'A')
    written.remember(rows)
    expect(written.covers('t', { ...seen, fetchedAt: 0 })).toBe(false)
  })
})

describe('what is written', () => {
  test('is not sent again in the same form, and is in another', () => {
    const written = new Written()
    written.remember(track(1, 'A'))
    expect(written.unwritten(track(2, 'A')).tracks).toEqual([])
    expect(written.unwritten(track(3, 'B')).tracks).toHaveLength(1)
    expect(written.unwritten(track(3, 'A', { artistIds: ['x'] })).tracks).toHaveLength(1)
  })

  test('is not turned back by an older version, even after it was only seen again', () => {
    const written = new Written()
    written.remember(track(1, 'A'))
    written.unwritten(track(5, 'A'))
    expect(written.unwritten(track(3, 'B')).tracks).toEqual([])
  })

  test('is sent until it was committed', () => {
    const written = new Written()
    expect(written.unwritten(track(1, 'A')).tracks).toHaveLength(1)
    expect(written.unwritten(track(1, 'A')).tracks).toHaveLength(1)
  })

  test('never holds findings back', () => {
    const written = new Written()
    written.remember(track(1, 'A'))
    expect(written.unwritten(track(1, 'A', { features: 'found' })).tracks).toHaveLength(1)
    expect(written.unwritten(track(1, 'A', { metadata: 'not_found' })).tracks).toHaveLength(1)
  })

  test('of a popularity is its last value of the day', () => {
    const written = new Written()
    written.remember(popularity(1, 50))
    expect(written.unwritten(popularity(2, 50)).trackPopularity).toEqual([])
    expect(written.unwritten(popularity(3, 51)).trackPopularity).toHaveLength(1)
    expect(written.unwritten(popularity(1, 49)).trackPopularity).toEqual([])
    expect(written.unwritten(popularity(3, 50, '2026-11-25')).trackPopularity).toHaveLength(1)
    expect(written.unwritten(popularity(3, 50, '2026-11-23')).trackPopularity).toHaveLength(1)
  })

  test('of a popularity stays known while pages of other days come by turns', () => {
    const written = new Written()
    const days = ['2026-11-23', '2026-11-24', '2026-11-25']
    for (const [n, day] of days.entries()) written.remember(popularity(1, 50 + n, day))
    for (const [n, day] of days.entries()) {
      expect(written.unwritten(popularity(2, 50 + n, day)).trackPopularity).toEqual([])
      expect(written.unwritten(popularity(3, 60, day)).trackPopularity).toHaveLength(1)
    }
  })
})
