import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ValueRecord } from '../../lib/kafka/record.ts'
import { excerptHeader } from '../../lib/kafka/restored.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { readGapNews } from '../../services/loader/gap-store.ts'
import { historyHandler } from '../../services/loader/history.ts'
import { Memory } from '../../services/loader/memory.ts'
import { lockWindows } from '../../services/loader/window-store.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'
import type { Json, RecordOptions } from '../support/pages.ts'
import { item, pageRecord, track } from '../support/pages.ts'
import { until } from '../support/until.ts'

type PageRecord = ValueRecord<SpotifyResponse>

const noon = Date.parse('2026-11-24T12:00:00.000Z')
const minute = 60_000
const at = (minutes: number) => noon + minutes * minute
const neverAborted = new AbortController().signal

let database: TestDatabase
let postgres: Postgres

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(4)
})
afterAll(async () => {
  await database.release()
})

const tables = ['plays', 'gaps', 'shown_windows', 'shown_items', 'rejected_items', 'tracks', 'track_artists']
const empty = () => postgres.query(tables.map((table) => `delete from ${table}`).join('; '))
beforeEach(empty)

/** A loader with its own memory, like a new process. */
function openLoader(rerun = false) {
  const parts = { postgres, memory: new Memory(), onCommitted: () => undefined, log: database.log }
  const handler = historyHandler({ ...parts, ...(rerun && { rerun: { sureTime: 0 } }) })
  return async (...records: PageRecord[]) => {
    await handler(records)(neverAborted)
  }
}

async function rows<T = Record<string, unknown>>(sql: string): Promise<T[]> {
  return (await postgres.query(sql)).rows as T[]
}

const minutesOf = (time: Date) => (time.getTime() - noon) / minute

/** Open gaps of a user, in minutes. */
async function openGaps(user = 7): Promise<number[][]> {
  const found = await rows<{ after: Date; before: Date }>(
    `select after, before from gaps where closed_at is null and user_id = ${user} order by after`,
  )
  return found.map(({ after, before }) => [minutesOf(after), minutesOf(before)])
}

/** Row versions of the ledger's tables, which show every write. */
const versions = () =>
  rows(`
    select 'gaps', xmin::text, ctid::text, to_jsonb(t) from gaps t union all
    select 'windows', xmin::text, ctid::text, to_jsonb(t) from shown_windows t union all
    select 'items', xmin::text, ctid::text, to_jsonb(t) from shown_items t order by 1, 3`)

let offset = 0
/** A page of the minutes from `oldest` to `newest`, newest first. */
function page(oldest: number, newest: number, options: Partial<RecordOptions> & { kind?: string } = {}) {
  const { kind = 'T', ...more } = options
  const items = Array.from({ length: newest - oldest + 1 }, (_, i) =>
    item(at(newest - i), `${kind}${newest - i}`),
  )
  return pageRecord(items, { fetchedAt: at(newest) + 1_000, offset: offset++, ...more })
}

describe('open gaps are what the set of pages says', () => {
  /** Items of a minute, the same on every page: a play, two plays, or an item that is not a play. */
  const itemsAt = (n: number): Json[] => {
    if (n % 11 === 3) return [{ ...item(at(n), `T${n}`), track: null }]
    if (n % 11 === 5) return [item(at(n), '', { track: { ...track(`Bad ${n}`), id: null, uri: null } })]
    if (n % 11 === 7) return [item(at(n), `A${n}`), item(at(n), `B${n}`)]
    if (n % 11 === 9) return [item(at(n), '', { track: { ...track(`E${n}`), type: 'episode' } })]
    return [item(at(n), `T${n}`)]
  }
  interface Span {
    user: number
    oldest: number
    newest: number
    /** Omitted minutes. */
    without: number[]
  }
  const spans = fc.array(
    fc
      .record({
        user: fc.integer({ min: 1, max: 2 }),
        oldest: fc.integer({ min: 1, max: 60 }),
        length: fc.integer({ min: 0, max: 12 }),
        without: fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 2 }),
      })
      .map(({ user, oldest, length, without }): Span => {
        const newest = oldest + length
        return { user, oldest, newest, without: without.filter((n) => n !== newest) }
      }),
    { minLength: 2, maxLength: 14 },
  )
  const minutesShown = ({ oldest, newest, without }: Span) =>
    Array.from({ length: newest - oldest + 1 }, (_, i) => newest - i).filter((n) => !without.includes(n))
  const toRecord = (span: Span, i: number) =>
    pageRecord(minutesShown(span).flatMap(itemsAt), {
      ...{ user: span.user, offset: i, fetchedAt: at(200) + i },
    })

  function gapsBySet(all: readonly Span[], user: number): number[][] {
    const pages = all.filter((span) => span.user === user).map(minutesShown)
    const ends = [...new Set(pages.map((shown) => shown[0] ?? 0))].sort((a, b) => a - b)
    const times = pages.flat().sort((a, b) => a - b)
    return ends.slice(0, -1).flatMap((end) => {
      const isShown = pages.some((shown) => (shown[0] ?? 0) > end && shown.includes(end))
      return isShown ? [] : [[end, times.find((n) => n > end) ?? Number.NaN]]
    })
  }

  const schedule = spans.chain((all) =>
    fc.record({
      all: fc.constant(all),
      order: fc.shuffledSubarray([...all.keys()], { minLength: all.length }),
      cuts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: all.length, maxLength: all.length }),
    }),
  )

  test('in any order, batches and processes, and a replay of the set writes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ({ all, order, cuts }) => {
        await empty()
        const records = all.map(toRecord)
        const rest = order.flatMap((i) => records[i] ?? [])
        const batches = cuts.flatMap((size) => (rest.length > 0 ? [rest.splice(0, size)] : []))
        // Two processes at the same time, each with every other batch.
        await Promise.all(
          [0, 1].map(async (process) => {
            const load = openLoader()
            for (const batch of batches.filter((_, i) => i % 2 === process)) await load(...batch)
          }),
        )
        for (const user of [1, 2]) expect(await openGaps(user)).toEqual(gapsBySet(all, user))
        const before = await versions()
        await openLoader(true)(...records)
        for (const record of records.toReversed()) await openLoader()(record)
        expect(await versions()).toEqual(before)
      }),
      { numRuns: 30 },
    )
  }, 300_000)

  test('because a loader waits for another one that works on pages of the same user', async () => {
    const load = openLoader()
    await load(page(1, 50))
    let second = Promise.resolve()
    await postgres.transaction(async (sql) => {
      await lockWindows(sql, ['7'])
      second = load(page(60, 100))
      await until(
        async () =>
          (
            await rows(
              `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
            )
          ).length > 0,
        'the other one waits',
      )
      expect(await openGaps()).toEqual([])
    })
    await second
    expect(await openGaps()).toEqual([[50, 60]])
  })

  test('and loaders of the same users in any order do not deadlock', async () => {
    const users = Array.from({ length: 20 }, (_, i) => i + 1)
    const load = async (order: number[]) => {
      const loader = openLoader(order[0] === 20)
      for (let round = 0; round < 10; round++) {
        await loader(...order.map((user) => page(round * 20, round * 20 + 12, { user })))
      }
    }
    await Promise.all([load(users), load(users.toReversed()), load(users)])
    const gaps = await rows('select from gaps where closed_at is null')
    expect(gaps).toHaveLength(20 * 9)
  })
})

describe('writes', () => {
  const changes = async (work: () => Promise<void>) => {
    const before = await versions()
    await work()
    const known = new Set(before.map((row) => JSON.stringify(row)))
    return (await versions()).filter((row) => !known.has(JSON.stringify(row))).length
  }

  test('of a page that connects are one row, and of one that shows nothing new none', async () => {
    const load = openLoader()
    await load(page(1, 50))
    expect(await changes(() => load(page(10, 59)))).toBe(1)
    expect(await changes(() => load(page(10, 59), page(12, 58)))).toBe(0)
    expect(await changes(() => openLoader()(page(1, 50)))).toBe(0)
  })

  test('a user of many pages has one row of a few bytes', async () => {
    const load = openLoader()
    for (let i = 0; i < 20; i++) {
      await load(...Array.from({ length: 50 }, (_, k) => page((i * 50 + k) * 2, (i * 50 + k) * 2 + 4)))
    }
    const [row] = await rows<{ bytes: number }>('select pg_column_size(windows) as bytes from shown_windows')
    expect(row?.bytes).toBeLessThan(200)
    expect(await openGaps()).toEqual([])
  })
})

describe('an alert', () => {
  const news = async () =>
    (await readGapNews(postgres, 10)).map(({ after, before, closed }) => ({
      ...{ after: minutesOf(after), before: minutesOf(before), closed },
    }))

  test('waits until the gap has outlived the next page that shows something new', async () => {
    const load = openLoader()
    await load(page(1, 50))
    await load(page(60, 100))
    await load(page(60, 100))
    expect(await openGaps()).toEqual([[50, 60]])
    expect(await news()).toEqual([])
    await load(page(61, 101))
    expect(await news()).toEqual([{ after: 50, before: 60, closed: false }])
  })

  test('does not come for a stretch that vanishes and comes back minutes later', async () => {
    const load = openLoader()
    await load(page(1, 50))
    await load(page(51, 53))
    await load(page(5, 54))
    expect(await openGaps()).toEqual([])
    expect(await news()).toEqual([])
    expect(await rows('select closed_by_offset is not null as kept from gaps')).toEqual([{ kept: true }])
  })

  test('does not come for gaps that a replay finds', async () => {
    await openLoader(true)(page(1, 50), page(60, 100), page(61, 101))
    await openLoader()(page(62, 102))
    expect(await openGaps()).toEqual([[50, 60]])
    expect(await news()).toEqual([])
  })

  test('counts for both parts of a gap that is split', async () => {
    const load = openLoader()
    await load(page(1, 50), page(150, 199), page(151, 200))
    await postgres.query('update gaps set opening_told_at = now()')
    await load(page(91, 140))
    expect(await openGaps()).toEqual([
      [50, 91],
      [140, 150],
    ])
    expect(await news()).toEqual([])
  })
})

test('a replay of a part, by a parser that takes ids from elsewhere, raises no gap', async () => {
  const [first, second] = [page(1, 50), page(50, 99)]
  await openLoader()(first, second)
  // As stored by another parser.
  await postgres.query("update plays set track_id = 'other ' || track_id")
  await openLoader(true)(first)
  expect(await openGaps()).toEqual([])
  await openLoader(true)(second)
  await openLoader()(page(99, 120))
  expect(await openGaps()).toEqual([])
})

describe('what is no window', () => {
  test('an excerpt of stored plays reveals no gap; the next page is compared with the plays', async () => {
    const load = openLoader()
    const headers = [{ name: excerptHeader, value: Buffer.from('1') }]
    await load(page(1, 20, { headers }), page(30, 50, { headers }))
    await load(page(50, 99))
    expect(await openGaps()).toEqual([])
    await load(page(110, 150))
    expect(await openGaps()).toEqual([[99, 110]])
  })

  test('an import neither reveals nor closes a gap', async () => {
    const load = openLoader()
    await load(page(1, 50), page(60, 100))
    await load(page(1, 120, { value: { source: 'import' } }))
    expect(await openGaps()).toEqual([[50, 60]])
  })

  test('pages of an erased user, empty pages and pages without a time leave no row', async () => {
    await postgres.query('insert into erased_users values (9)')
    await openLoader()(
      page(1, 50, { user: 9 }),
      pageRecord([], { user: 10, fetchedAt: at(1) }),
      pageRecord([{ track: track('x') }], { user: 11, fetchedAt: at(1), offset: 2 }),
    )
    expect(await rows('select from shown_windows')).toEqual([])
    await postgres.query('delete from erased_users')
  })
})

describe('plays that are older than the table of windows', () => {
  const forget = () => postgres.query('delete from shown_windows')

  test('say where the windows begin: no false gap, and none missed', async () => {
    await openLoader()(page(1, 50))
    await forget()
    await openLoader()(page(20, 69))
    expect(await openGaps()).toEqual([])
    await forget()
    await openLoader()(page(90, 120))
    expect(await openGaps()).toEqual([[69, 90]])
  })

  test('a page that shows nothing new keeps what they say', async () => {
    await openLoader()(page(1, 50))
    await forget()
    await openLoader()(page(1, 50))
    await openLoader()(page(60, 90))
    expect(await openGaps()).toEqual([[50, 60]])
  })

  test('gaps that exist stay, and are closed like others', async () => {
    await openLoader()(page(1, 50), page(91, 140))
    await forget()
    await openLoader()(page(92, 141))
    expect(await openGaps()).toEqual([[50, 91]])
    await openLoader()(page(50, 80))
    expect(await openGaps()).toEqual([[80, 91]])
    await openLoader()(page(80, 100))
    expect(await openGaps()).toEqual([])
  })

  test('gaps that overlap are one, and both end with it', async () => {
    await openLoader()(page(1, 50), page(91, 140))
    await forget()
    await postgres.query('insert into gaps (user_id, after, before) values (7, $1, $2)', [
      new Date(at(60)),
      new Date(at(100)),
    ])
    await openLoader()(page(92, 141))
    expect(await openGaps()).toEqual([[50, 92]])
    await openLoader()(page(50, 80))
    expect(await openGaps()).toEqual([[80, 92]])
    await openLoader()(page(80, 100))
    expect(await openGaps()).toEqual([])
  })

  test('of clocks that run ahead, and of imports, say nothing', async () => {
    await postgres.query(
      `insert into plays (user_id, played_at, track_id, source, page_partition, page_offset, ingested_at)
       values (7, $1, 'ahead', 'poll', 0, 0, $2), (7, $2, 'old', 'import', 0, 1, $2)`,
      [new Date(at(500)), new Date(at(20))],
    )
    await openLoader()(page(100, 149))
    expect(await openGaps()).toEqual([])
  })

  test('that were taken away take the windows with them', async () => {
    await openLoader()(page(1, 50))
    await postgres.query('delete from plays')
    await openLoader()(page(60, 90))
    expect(await openGaps()).toEqual([])
  })
})

test('a gap that somebody closed by hand stays closed', async () => {
  await openLoader()(page(1, 50), page(91, 140))
  await postgres.query('update gaps set closed_at = now()')
  await openLoader()(page(92, 141), page(60, 70))
  await openLoader()(page(93, 150))
  expect(await openGaps()).toEqual([])
})
