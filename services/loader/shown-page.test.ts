import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json } from '../../test/support/pages.ts'
import { item, pageBody, pageRecord, track } from '../../test/support/pages.ts'
import type { ShownPage } from './shown-page.ts'
import { cutEnd, cutRepeated, toShownPage } from './shown-page.ts'
import { toHistory } from './transform.ts'

const noon = Date.parse('2026-11-24T12:00:00.000Z')
const at = (n: number) => noon - n * 60_000

/** Items newest first, of which the first one was played `newest` minutes before noon. */
const items = (newest: number, count: number, more: Json = {}) =>
  Array.from({ length: count }, (_, i) => item(at(newest + i), `Song ${(newest + i) % 7}`, more))
const plays = (newest: number, count: number) => ({
  playedAt: Array.from({ length: count }, (_, i) => at(newest + i)),
  trackIds: Array.from({ length: count }, (_, i) => `Song ${(newest + i) % 7}`),
})

function shownPage(newest: number, count: number): ShownPage {
  const body = pageBody(items(newest, count))
  const shown = toShownPage({ body, fetchedAt: noon, ...plays(newest, count) })
  if (!shown) throw new Error('The page cannot be compared')
  return shown
}

const restOf = (body: Buffer, shown: ShownPage) => {
  const cut = cutRepeated(body, shown)
  return cut && { items: JSON.parse(cut.rest.toString() + cutEnd).items, repeated: cut.repeated }
}

describe('what an earlier page has shown is cut off', () => {
  test('when the window moves on', () => {
    expect(restOf(pageBody(items(0, 50)), shownPage(3, 50))).toEqual({ items: items(0, 3), repeated: 47 })
  })

  test('when the history is shorter than the window', () => {
    expect(restOf(pageBody(items(0, 5)), shownPage(2, 3))).toEqual({ items: items(0, 2), repeated: 3 })
  })

  test('when nothing is new', () => {
    expect(restOf(pageBody(items(0, 4)), shownPage(0, 5))).toEqual({ items: [], repeated: 4 })
  })
})

describe('nothing is cut off', () => {
  test.each<[string, Buffer]>([
    ['a page that repeats nothing', pageBody(items(-50, 50))],
    ['a page that goes further back', pageBody(items(0, 60))],
    ['a page of which one byte differs', pageBody([...items(0, 20), ...items(20, 30, { popularity: 1 })])],
    ['a page that leaves out a play', pageBody([...items(0, 20), ...items(21, 30)])],
    ['a page that is cut short', pageBody(items(0, 50)).subarray(0, -3)],
    ['a page with a fault behind its items', Buffer.from(`${pageBody(items(0, 50)).toString()}}`)],
    ['a page with a fault before its items', Buffer.from(`x${pageBody(items(0, 50)).toString()}`)],
    ['a page without items', Buffer.from('{"error":{}}')],
    ['no bytes', Buffer.alloc(0)],
  ])('%s', (_, body) => {
    expect(cutRepeated(body, shownPage(3, 50))).toBeNull()
  })
})

test('nothing is cut off a page that ends between two plays of one moment', () => {
  const atOnce = [item(at(3), 'A'), item(at(3), 'B')]
  const shown = toShownPage({
    body: pageBody(atOnce),
    fetchedAt: noon,
    playedAt: [at(3), at(3)],
    trackIds: ['A', 'B'],
  })
  if (!shown) throw new Error('The page cannot be compared')
  expect(cutRepeated(pageBody([...items(0, 1), ...atOnce.slice(0, 1)]), shown)).toBeNull()
})

test('a page with spaces between its parts is not compared with', () => {
  const body = Buffer.from(JSON.stringify({ items: items(0, 2) }, null, 1))
  expect(toShownPage({ body, fetchedAt: noon, ...plays(0, 2) })).toBeNull()
})

describe('pages in a row become the same', () => {
  /** A user's windows, one after another; now and then one has a byte that is another one. */
  const windows = fc.array(
    fc.record({
      moved: fc.nat(6),
      size: fc.integer({ min: 1, max: 8 }),
      hours: fc.nat(9),
      spoilt: fc.option(fc.record({ where: fc.nat(), byte: fc.nat(255) }), { freq: 4 }),
      odd: fc.option(
        fc.constantFrom({ type: 'episode' }, { id: null, uri: null }, { name: 'Ärger \u0001' }),
        {
          freq: 4,
        },
      ),
    }),
    { minLength: 2, maxLength: 6 },
  )

  test('with what is known of the pages before as without', () => {
    fc.assert(
      fc.property(windows, (steps) => {
        let newest = 0
        const records = steps.map(({ moved, size, hours, spoilt, odd }, offset) => {
          newest -= moved
          const list = items(newest, size)
          if (odd) list[0] = item(at(newest), 'Odd', { track: track('Odd', odd) })
          const body = pageBody(list)
          if (spoilt) body[spoilt.where % body.length] = spoilt.byte
          return pageRecord([], { fetchedAt: noon + hours * 3_600_000, offset, value: { body } })
        })
        const memory = new Map<string, ShownPage>()
        const told = (batch: ReturnType<typeof toHistory>) => ({
          plays: batch.plays,
          rejected: batch.rejected,
          reasons: batch.deadLetters.map(({ record, reason }) => [record.offset, reason]),
          counts: batch.counts,
          pages: batch.pages.map(({ page, ...span }) => ({ ...span, size: page.size })),
          tracks: batch.catalogue.tracks.map(({ id }) => id),
        })
        expect(told(toHistory(records, { shown: memory }))).toEqual(told(toHistory(records)))

        // The same in a batch each, with the memory that the loader has of what is stored.
        const stored = new Set<string>()
        for (const record of records) {
          const whole = told(toHistory([record]))
          const batch = toHistory([record], { shown: memory })
          for (const [userId, page] of batch.shown) memory.set(userId, page)
          const keys = (plays: typeof batch.plays) => plays.map((p) => `${p.playedAt} ${p.trackId}`)
          for (const key of keys(batch.plays)) stored.add(key)
          expect({ ...told(batch), plays: [], tracks: [] }).toEqual({ ...whole, plays: [], tracks: [] })
          expect(keys(whole.plays).filter((key) => !stored.has(key))).toEqual([])
        }
      }),
      { numRuns: 500 },
    )
  })
})
