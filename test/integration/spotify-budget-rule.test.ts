import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Postgres } from '../../lib/postgres.ts'
import type { Book } from '../../lib/spotify/budget-rule.ts'
import { addPause, clearStrikes, emptyBook, refund, take } from '../../lib/spotify/budget-rule.ts'
import * as store from '../../lib/spotify/budget-store.ts'
import type { RequestLane } from '../../lib/spotify/outcome.ts'
import { lanes } from '../../lib/spotify/outcome.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'

let database: TestDatabase
let postgres: Postgres

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(2)
})
afterAll(async () => {
  await database.release()
})

type Step =
  | { do: 'take'; lane: RequestLane; count: number; cap: number; despitePause: boolean }
  | { do: 'refund'; which: number; count: number }
  | { do: 'pause'; lanes: RequestLane[]; ms: number; maxMs: number | null }
  | { do: 'clear'; lane: RequestLane }
  | { do: 'pass'; ms: number }

// Whole minutes, and pauses that end between them, so that the test's own duration changes nothing.
const minute = 60_000
const lane = fc.constantFrom(...lanes)
const pauseMs = fc.integer({ min: 1, max: 90 }).map((n) => n * minute + minute / 2)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('take' as const),
    lane,
    count: fc.integer({ min: 1, max: 8 }),
    cap: fc.integer({ min: -3, max: 30 }),
    despitePause: fc.boolean(),
  }),
  fc.record({ do: fc.constant('refund' as const), which: fc.nat(9), count: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    do: fc.constant('pause' as const),
    lanes: fc.uniqueArray(lane, { minLength: 1 }),
    ms: pauseMs,
    maxMs: fc.option(pauseMs.map((ms) => ms * 4)),
  }),
  fc.record({ do: fc.constant('clear' as const), lane }),
  fc.record({
    do: fc.constant('pass' as const),
    ms: fc.constantFrom(1, 10, 60, 23 * 60, 24 * 60 + 1).map((n) => n * minute),
  }),
)

/** Both sides of the comparison, and the windows of granted requests. */
interface Both {
  clientId: string
  book: Book
  now: number
  grants: { lane: RequestLane; sql: string; rule: number; at: number }[]
}

async function doStep(both: Both, step: Step): Promise<void> {
  const { clientId, now } = both
  switch (step.do) {
    case 'take': {
      const order = { lane: step.lane, count: step.count, cap: step.cap, despitePause: step.despitePause }
      const taken = await store.takeRequests(postgres, { clientId, ...order })
      const { granted, book } = take(both.book, { ...order, now })
      expect(taken.granted).toBe(granted)
      both.book = book
      if (taken.window !== null) {
        both.grants.push({
          lane: step.lane,
          sql: taken.window,
          rule: book.windowStartedAt ?? Number.NaN,
          at: now,
        })
      }
      return
    }
    case 'refund': {
      const grant = both.grants[step.which % Math.max(1, both.grants.length)]
      if (!grant) return
      const order = { lane: grant.lane, count: step.count }
      await store.refundRequests(postgres, {
        clientId,
        ...order,
        window: await moved(grant.sql, now - grant.at),
      })
      both.book = refund(both.book, { ...order, window: grant.rule })
      return
    }
    case 'pause': {
      const pause = { lanes: step.lanes, ms: step.ms, maxMs: step.maxMs, reason: 'test' }
      await store.storePause(postgres, clientId, pause)
      both.book = addPause(both.book, pause, now)
      return
    }
    case 'clear':
      await store.clearStrikes(postgres, clientId, step.lane)
      both.book = clearStrikes(both.book, step.lane, now)
      return
    case 'pass':
      await postgres.query(
        `update api_pauses set window_started_at = window_started_at - make_interval(secs => $2),
           paused_until = paused_until - make_interval(secs => $2) where client_id = $1`,
        [clientId, step.ms / 1000],
      )
      both.now += step.ms
  }
}

/** The tests move rows to let time pass; this moves the name of a window accordingly. */
async function moved(window: string, ms: number): Promise<string> {
  const { rows } = await postgres.query<{ at: string }>(
    'select ($1::timestamptz - make_interval(secs => $2))::text as at',
    [window, ms / 1000],
  )
  return rows[0]?.at ?? window
}

async function expectEqual({ clientId, book, now }: Both): Promise<void> {
  const rows = await store.readLanes(postgres, clientId)
  for (const { lane, used, strikes, paused_ms, age_ms } of rows) {
    const rule = book.lanes[lane]
    expect({ lane, used, strikes }).toEqual({ lane, used: rule.used, strikes: rule.strikes })
    const left = rule.pausedUntil === null ? null : rule.pausedUntil - now
    const near = (sql: number | null, own: number | null) =>
      sql === null || own === null ? sql === own : Math.abs(sql - own) < minute / 4
    expect(near(paused_ms, left)).toBe(true)
    expect(near(age_ms, book.windowStartedAt === null ? null : now - book.windowStartedAt)).toBe(true)
  }
}

test('the rule of the budget, as a pure function and in SQL, is the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      const both: Both = { clientId: crypto.randomUUID(), book: emptyBook, now: 0, grants: [] }
      await store.ensureLanes(postgres, both.clientId)
      for (const step of steps) {
        await doStep(both, step)
        await expectEqual(both)
      }
    }),
    { numRuns: 60 },
  )
})
