import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json } from '../../test/support/pages.ts'
import type { Catalogue, TrackRow } from './catalogue.ts'
import { BatchRows, CommittedRows } from './committed-rows.ts'
import { Freshness } from './freshness.ts'
import { toSeenTrack } from './seen-track.ts'
import { Sightings } from './sightings.ts'

/** Sightings of track `t` with an album and an artist, as an answer fetched at a time shows it. */
function seen(at: number, name: string, over: Json = {}, day = '2026-11-24'): Sightings {
  const sightings = new Sightings()
  const entity = { name, album: { id: 'b', name: 'Album' }, artists: [{ id: 'a', name: 'Artist' }], ...over }
  sightings.addTrack(toSeenTrack('t', entity), { at, day })
  return sightings
}

/** The tables as the database would hold them: the newest version of a row wins. */
class Tables {
  readonly tracks = new Map<string, TrackRow>()

  /** The versions that a transaction with these rows writes. */
  write(catalogue: Catalogue) {
    const versions = (rows: readonly { id: string; fetchedAt: number }[]) =>
      new Map(rows.map((row) => [row.id, row.fetchedAt]))
    const won = catalogue.tracks.filter((row) => row.fetchedAt > (this.tracks.get(row.id)?.fetchedAt ?? -1))
    for (const row of won) this.tracks.set(row.id, row)
    return {
      albums: versions(catalogue.albums),
      artists: versions(catalogue.artists),
      tracks: versions(won),
    }
  }
}

function open() {
  const freshness = new Freshness()
  const rows = new CommittedRows(freshness)
  const tables = new Tables()
  /** A batch whose transaction commits at once. @returns what it sent */
  const store = (sightings: Sightings) => {
    const batch = new BatchRows(rows)
    const sent = batch.unwritten(sightings)
    batch.commit(tables.write(sent))
    return sent
  }
  return { rows, tables, store, freshness }
}

const sentTracks = ({ tracks }: Catalogue) => tracks.map(({ name }) => name)

describe('what is committed', () => {
  test('is not sent again in the same form, and is in another', () => {
    const { store } = open()
    expect(sentTracks(store(seen(1, 'A')))).toEqual(['A'])
    expect(store(seen(2, 'A'))).toMatchObject({ tracks: [], albums: [], artists: [] })
    expect(sentTracks(store(seen(3, 'B')))).toEqual(['B'])
    expect(sentTracks(store(seen(4, 'B', { artists: [{ id: 'x', name: 'X' }] })))).toEqual(['B'])
    expect(sentTracks(store(seen(5, 'B', { album: { id: 'c', name: 'C' } })))).toEqual(['B'])
  })

  test('is not turned back by an older version, even after it was only seen again', () => {
    const { store } = open()
    store(seen(1, 'A'))
    store(seen(5, 'A'))
    expect(sentTracks(store(seen(3, 'B')))).toEqual([])
    expect(sentTracks(store(seen(6, 'B')))).toEqual(['B'])
  })

  test('never holds findings back', () => {
    const { store } = open()
    store(seen(1, 'A'))
    const found = seen(1, 'A')
    found.addTrackFinding('t', 'features', 'found')
    expect(sentTracks(store(found))).toEqual(['A'])
  })

  test('is forgotten when all is', () => {
    const { store, rows } = open()
    store(seen(1, 'A'))
    rows.forget()
    expect(sentTracks(store(seen(2, 'A')))).toEqual(['A'])
  })

  test('is what the database has taken: a version that it refused is sent again', () => {
    const { store, tables, rows } = open()
    // Another process has written a newer version meanwhile.
    tables.write(seen(9, 'B').toCatalogue())
    store(seen(5, 'A'))
    expect(sentTracks(store(seen(10, 'A')))).toEqual(['A'])
    expect(rows.tracks.find('t')).toMatchObject({ seenAt: 10 })
  })

  test('of a popularity is its last value of the day, also while pages of other days come by turns', () => {
    const { store } = open()
    const sent = (at: number, popularity: number, day?: string) =>
      store(seen(at, 'A', { popularity }, day)).trackPopularity.length
    expect(sent(1, 50)).toBe(1)
    expect(sent(2, 50)).toBe(0)
    expect(sent(1, 49)).toBe(0)
    expect(sent(3, 50, '2026-11-25')).toBe(1)
    expect(sent(4, 51)).toBe(1)
    expect(sent(5, 50, '2026-11-25')).toBe(0)
    expect(sent(6, 51)).toBe(0)
  })
})

describe('asking changes nothing: only the receipt of a commit does', () => {
  test('what was asked for is sent until it is committed', () => {
    const { rows } = open()
    expect(sentTracks(new BatchRows(rows).unwritten(seen(1, 'A')))).toEqual(['A'])
    expect(sentTracks(new BatchRows(rows).unwritten(seen(1, 'A')))).toEqual(['A'])
  })

  test('a version seen again is sent while another one is on its way', () => {
    const { rows, store, tables } = open()
    store(seen(10, 'A'))
    const flying = new BatchRows(rows)
    const sent = flying.unwritten(seen(20, 'B'))
    expect(sentTracks(store(seen(30, 'A')))).toEqual(['A'])
    flying.commit(tables.write(sent))
    expect(tables.tracks.get('t')).toMatchObject({ name: 'A', fetchedAt: 30 })
    expect(sentTracks(store(seen(40, 'A')))).toEqual([])
  })

  test('a batch that leaves has written nothing', () => {
    const { rows, store } = open()
    const batch = new BatchRows(rows)
    batch.unwritten(seen(1, 'A'))
    batch.leave()
    expect(sentTracks(store(seen(2, 'A')))).toEqual(['A'])
    expect(sentTracks(store(seen(3, 'A')))).toEqual([])
  })

  test('whatever batches are under way together, the newest version is in the table when all have ended', () => {
    const step = fc.record({
      name: fc.constantFrom('A', 'B', 'C'),
      at: fc.integer({ min: 1, max: 40 }),
      // The batch ends after this many others have begun.
      lasts: fc.nat(3),
    })
    const rows = new CommittedRows(new Freshness())
    fc.assert(
      fc.property(fc.uniqueArray(step, { minLength: 2, maxLength: 12, selector: (s) => s.at }), (steps) => {
        rows.forget()
        const tables = new Tables()
        const flying: { batch: BatchRows; sent: Catalogue; until: number }[] = []
        const end = (through: number) => {
          for (const one of flying.splice(0)) {
            if (one.until > through) flying.push(one)
            else one.batch.commit(tables.write(one.sent))
          }
        }
        for (const [i, { name, at, lasts }] of steps.entries()) {
          const batch = new BatchRows(rows)
          flying.push({ batch, sent: batch.unwritten(seen(at, name)), until: i + lasts })
          end(i)
        }
        end(Number.POSITIVE_INFINITY)
        const newest = steps.reduce((a, b) => (b.at > a.at ? b : a))
        expect(tables.tracks.get('t')?.name).toBe(newest.name)
      }),
      { numRuns: 300 },
    )
  })
})
