import { describe, expect, test } from 'vitest'
import type { Catalogue, TrackRow } from './catalogue.ts'
import { unseenTrack } from './versions.ts'
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
})
