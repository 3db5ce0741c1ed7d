import { describe, expect, test } from 'vitest'
import type { Json } from '../../test/support/pages.ts'
import { item, pageBody } from '../../test/support/pages.ts'
import { toItem } from './item.ts'
import type { ShownPage } from './shown-page.ts'
import { cutEnd, cutRepeated, toShownPage } from './shown-page.ts'

const noon = Date.parse('2026-11-24T12:00:00.000Z')
const at = (n: number) => noon - n * 60_000

/** Items, newest first; the first one was played `newest` minutes before noon. */
const items = (newest: number, count: number, more: Json = {}) =>
  Array.from({ length: count }, (_, i) => item(at(newest + i), `Song ${(newest + i) % 7}`, more))
/** The shown page of such items. */
const kept = (list: readonly unknown[]) => ({
  ...{ body: pageBody(list), fetchedAt: noon, fullAt: 0 },
  items: list.map((raw) => toItem(raw, noon)),
})

function shownPage(newest: number, count: number): ShownPage {
  const shown = toShownPage(kept(items(newest, count)))
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
    [
      'a page with another list of items',
      Buffer.from(pageBody(items(0, 50)).toString().replace(/}$/, ',"items":[]}')),
    ],
    ['a page without items', Buffer.from('{"error":{}}')],
    ['no bytes', Buffer.alloc(0)],
  ])('%s', (_, body) => {
    expect(cutRepeated(body, shownPage(3, 50))).toBeNull()
  })
})

test('nothing is cut off a page that ends between two plays of one moment', () => {
  const atOnce = [item(at(3), 'A'), item(at(3), 'B')]
  const shown = toShownPage(kept(atOnce))
  if (!shown) throw new Error('The page cannot be compared')
  expect(cutRepeated(pageBody([...items(0, 1), ...atOnce.slice(0, 1)]), shown)).toBeNull()
})

test('a page with spaces between its parts is not compared with', () => {
  const body = Buffer.from(JSON.stringify({ items: items(0, 2) }, null, 1))
  expect(toShownPage({ ...kept(items(0, 2)), body })).toBeNull()
})
