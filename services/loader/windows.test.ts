import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { item } from '../../test/support/pages.ts'
import { toItem } from './item.ts'
import type { Gap, PageWindow, Past, Shown, Window } from './windows.ts'
import { addPage, toGaps, toPageWindow, toShown } from './windows.ts'

const start = Date.parse('2026-11-24T00:00:00.000Z')
const minute = 60_000
const at = (minutes: number) => start + minutes * minute
const later = at(100_000)

const shown = (minutes: number, id = `t${minutes}`): Shown => ({ at: at(minutes), id })
/** Items of the minutes from `oldest` to `newest`, newest first. */
const run = (oldest: number, newest: number) =>
  Array.from({ length: newest - oldest + 1 }, (_, i) => shown(newest - i))

function windowOf(items: readonly Shown[], fetchedAt = later): PageWindow {
  const page = toPageWindow(items, fetchedAt)
  if (!page) throw new Error('The page shows no window')
  return page
}

/** The past of a page, taken from all of these pages. */
function pastOf(pages: readonly PageWindow[], { newest }: PageWindow, isRerun = false): Past {
  const next = Math.min(...pages.flatMap((page) => page.reach.filter((time) => time > newest)))
  return {
    isLoaded: isRerun && pages.some((page) => page.shown.some((s) => s.at === newest)),
    knows: (id) => pages.some((page) => page.shown.some((s) => s.at === newest && s.id === id)),
    next: () => (next === Infinity ? null : next),
  }
}

function addAll(pages: readonly PageWindow[]): readonly Window[] {
  return pages.reduce<readonly Window[]>(
    (windows, page, i) => addPage(windows, page, pastOf(pages.slice(0, i), page)),
    [],
  )
}

const gapsOf = (...pages: readonly (readonly Shown[])[]) =>
  toGaps(addAll(pages.map((items) => windowOf(items)))).map((gap) => [
    (gap.after - start) / minute,
    (gap.before - start) / minute,
  ])

/** The rule by its definition: the gaps of a set of pages in any order. */
function gapsByDefinition(pages: readonly PageWindow[]): Gap[] {
  const ends = [...new Set(pages.map((page) => page.newest))].sort((a, b) => a - b)
  return ends.slice(0, -1).flatMap((end) => {
    const further = pages.filter((page) => page.newest > end)
    const isShown = (id: string) =>
      further.some((page) => page.shown.some((s) => s.at === end && s.id === id))
    const groups = pages.filter((page) => page.newest === end).map((page) => new Set(page.edge))
    const isContinuous = (group: Set<string>) => [...connectedTo(group, groups)].some(isShown)
    if (groups.every(isContinuous)) return []
    return [{ after: end, before: Math.min(...pages.flatMap((p) => p.reach.filter((time) => time > end))) }]
  })
}

function connectedTo(group: Set<string>, groups: readonly Set<string>[]): Set<string> {
  const all = new Set(group)
  for (const _ of groups) {
    for (const other of groups) if ([...other].some((id) => all.has(id))) for (const id of other) all.add(id)
  }
  return all
}

describe('open gaps', () => {
  const items = fc.uniqueArray(
    fc.record({ minutes: fc.integer({ min: 0, max: 25 }), kind: fc.constantFrom('a', 'b', 'c') }),
    { minLength: 1, maxLength: 8, selector: ({ minutes, kind }) => `${minutes} ${kind}` },
  )
  const scattered = items.map((all) =>
    all.map(({ minutes, kind }) => shown(minutes, kind)).sort((a, b) => (b.at ?? 0) - (a.at ?? 0)),
  )
  const stretch = fc
    .tuple(fc.integer({ min: 0, max: 25 }), fc.integer({ min: 0, max: 6 }))
    .map(([oldest, length]) => run(oldest, oldest + length).map((s) => ({ ...s, id: 'a' })))
  const pages = fc
    .array(fc.oneof(scattered, stretch), { minLength: 1, maxLength: 9 })
    .map((all) => all.map((of) => windowOf(of)))

  test('are what the set of pages says, in any order', () => {
    fc.assert(
      fc.property(
        pages.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([all, shuffled]) => {
          const windows = addAll(shuffled)
          expect(toGaps(windows)).toEqual(gapsByDefinition(all))
          expect(windows).toEqual(addAll(all))
        },
      ),
      { numRuns: 3_000 },
    )
  })

  test('are not changed by a replay of any of the pages', () => {
    fc.assert(
      fc.property(pages, fc.array(fc.nat()), (all, again) => {
        const windows = addAll(all)
        const replayed = again.map((n) => all[n % all.length] as PageWindow)
        for (const page of replayed) expect(addPage(windows, page, pastOf(all, page))).toBe(windows)
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('a parser that changed', () => {
  const spans = fc.array(
    fc.record({ oldest: fc.integer({ min: 0, max: 25 }), length: fc.integer({ min: 0, max: 6 }) }),
    { minLength: 1, maxLength: 9 },
  )
  const parse = (id: (minutes: number) => string) => (span: { oldest: number; length: number }) =>
    windowOf(
      run(span.oldest, span.oldest + span.length).map((s) => ({
        ...s,
        id: id(((s.at ?? 0) - start) / minute),
      })),
    )
  const asRejected = parse((n) => `-digest ${n}`)
  const asPlays = parse((n) => `t${n}`)

  test('leaves no gap that a replay of the pages does not close', () => {
    fc.assert(
      fc.property(spans, spans, (before, since) => {
        const right = [...before, ...since].map(asPlays)
        const loaded = [...before.map(asRejected), ...right.slice(before.length)]
        const windows = right.reduce(
          (known, page, i) => addPage(known, page, pastOf([...loaded, ...right.slice(0, i)], page, true)),
          addAll(loaded),
        )
        expect(toGaps(windows)).toEqual(gapsByDefinition(right))
      }),
      { numRuns: 1_000 },
    )
  })

  test('raises no gap in a replay of some of the pages', () => {
    fc.assert(
      fc.property(spans, fc.array(fc.nat(), { maxLength: 4 }), (all, again) => {
        const loaded = all.map(asRejected)
        const some = again.flatMap((n) => all[n % all.length] ?? [])
        const windows = some
          .map(asPlays)
          .reduce((known, page) => addPage(known, page, pastOf(loaded, page, true)), addAll(loaded))
        expect(toGaps(windows)).toEqual(gapsByDefinition(loaded))
      }),
      { numRuns: 1_000 },
    )
  })

  test('keeps all items of pages that end at one moment, in a replay too', () => {
    const pages = [
      [shown(50, 'x'), ...run(1, 49)],
      [shown(50, 'y'), ...run(1, 49)],
    ].map((p) => windowOf(p))
    const replayed = pages.reduce(
      (known, page) => addPage(known, page, pastOf(pages, page, true)),
      addAll(pages),
    )
    for (const id of ['x', 'y']) {
      const next = windowOf([...run(51, 99), shown(50, id)])
      expect(toGaps(addPage(replayed, next, pastOf(pages, next)))).toEqual([
        { after: at(50), before: at(51) },
      ])
    }
  })

  test('finds a play again by what Spotify calls its track, under whatever id it stores it', () => {
    const read = toItem(item(at(50), 'T'), later)
    if (read.type !== 'play') throw new Error('It is a play')
    const otherwise = { ...read, track: { ...read.track, id: 'from elsewhere' } }
    expect(toShown(otherwise)).toEqual({ ...toShown(read), trackId: 'from elsewhere' })
  })

  test('opens no gap where it takes for a play what was none, or the other way', () => {
    const none = [{ at: at(50), id: '-digest' }, ...run(1, 49)]
    expect(gapsOf(none, run(50, 99))).toEqual([])
    expect(gapsOf(run(1, 50), [...run(51, 99), { at: at(50), id: '-digest' }])).toEqual([])
  })
})

describe('two pages are continuous', () => {
  test('when the further one shows the newest item of the other, however few they share and have', () => {
    expect(gapsOf(run(1, 50), run(50, 99))).toEqual([])
    expect(gapsOf(run(1, 3), run(3, 5))).toEqual([])
    expect(gapsOf(run(1, 50), run(20, 49))).toEqual([])
  })

  test('not when they share no item, however few items they have', () => {
    expect(gapsOf(run(1, 50), run(60, 102))).toEqual([[50, 60]])
    expect(gapsOf(run(1, 1), run(3, 3))).toEqual([[1, 3]])
  })

  test('not because their times overlap', () => {
    const other = Array.from({ length: 60 }, (_, i) => shown(40 + i, 'other')).toReversed()
    expect(gapsOf(run(1, 50), other)).toEqual([[50, 51]])
    expect(gapsOf(run(1, 50), run(91, 140), other)).toEqual([
      [50, 51],
      [99, 100],
    ])
  })

  test('not when the further one lacks the newest item, though it shows older ones', () => {
    expect(gapsOf(run(1, 50), [...run(51, 60), ...run(1, 40)])).toEqual([[50, 51]])
  })

  test('when a moment has several items and the page is cut between them', () => {
    const twins = [shown(50, 'x'), shown(50, 'y')]
    expect(gapsOf([...twins, ...run(1, 49)], [...run(51, 99), shown(50, 'y')])).toEqual([])
    expect(gapsOf([...twins, ...run(1, 49)], [...run(51, 99), shown(50, 'x')])).toEqual([])
    expect(gapsOf([...twins, ...run(1, 49)], [...run(51, 99), shown(50, 'z')])).toEqual([[50, 51]])
  })

  test('when what they share is listed as the newest, though an item below it has a newer time', () => {
    expect(gapsOf([shown(50), shown(51, 'offline')], run(50, 60))).toEqual([])
  })

  test('when what they share is an item that says no time, listed as the newest', () => {
    const odd = { at: null, id: '-odd' }
    expect(gapsOf([odd, ...run(1, 50)], [...run(60, 108), odd])).toEqual([])
    expect(gapsOf([...run(1, 50), odd], [...run(60, 108), odd])).toEqual([[50, 60]])
  })
})

describe('a gap', () => {
  const around = [run(1, 50), run(151, 200)]
  test('wider than a page is closed by pages that follow one another, whatever their order', () => {
    const [a, b, c] = [run(50, 99), run(99, 148), run(148, 197)]
    expect(gapsOf(...around, a, b, c)).toEqual([])
    expect(gapsOf(...around, c, a, b)).toEqual([])
    expect(gapsOf(...around, a, c)).toEqual([[99, 148]])
  })
  test('is split by a page inside it', () => {
    expect(gapsOf(...around, run(91, 140))).toEqual([
      [50, 91],
      [140, 151],
    ])
  })
  test('moves where a page touches an edge of it', () => {
    expect(gapsOf(...around, run(50, 70))).toEqual([[70, 151]])
    expect(gapsOf(...around, run(130, 160))).toEqual([[50, 130]])
  })
  test('of a series whose newest stretch vanishes is closed when that comes back', () => {
    const vanished = [...run(51, 52), ...run(1, 40)]
    expect(gapsOf(run(1, 50), vanished)).toEqual([[50, 51]])
    expect(gapsOf(run(1, 50), vanished, run(4, 53))).toEqual([])
  })
})

describe('a time that is absurd for its page', () => {
  test('of 1970 closes no gap, moves none and is none', () => {
    const ancient = { at: 0, id: 'ancient' }
    expect(gapsOf(run(1, 50), run(151, 200), [...run(180, 228), ancient])).toEqual([[50, 151]])
    expect(toPageWindow([ancient], later)).toBeNull()
  })

  test('by itself more than a day older than all others moves no gap', () => {
    const days = 24 * 60
    const pages = [run(1, 50), run(151, 200), run(200, 249), run(249, 9 * days)]
    const late = [...run(9 * days, 9 * days + 40), shown(100, 'late')]
    expect(gapsOf(...pages, late)).toEqual([[50, 151]])
  })

  test('is not that of a listener who comes back after weeks', () => {
    const weeks = 21 * 24 * 60
    expect(gapsOf(run(1, 50), [shown(weeks), ...run(2, 50)])).toEqual([])
    // The one item of the page that connects is the last one.
    expect(gapsOf(run(1, 50), [...run(weeks, weeks + 48), shown(50)])).toEqual([])
    expect(gapsOf(run(1, 50), [...run(weeks, weeks + 2), ...run(60, 106)])).toEqual([[50, 60]])
  })

  test('ahead of the fetch hides no gap once it has come', () => {
    const ahead = shown(300, 'ahead')
    const before = windowOf([ahead, ...run(1, 50)], at(50))
    const after = windowOf([...run(301, 320), ahead, ...run(271, 299)], at(321))
    expect(toGaps(addAll([before, after]))).toEqual([{ after: at(50), before: at(271) }])
  })
})

test('pages without a time show no window', () => {
  expect(toPageWindow([], later)).toBeNull()
  expect(toPageWindow([{ at: null, id: '-odd' }], later)).toBeNull()
})
