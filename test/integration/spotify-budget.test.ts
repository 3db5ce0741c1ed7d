import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Postgres } from '../../lib/postgres.ts'
import type { Budget } from '../../lib/spotify/budget.ts'
import { openBudget } from '../../lib/spotify/budget.ts'
import type { Outcome } from '../../lib/spotify/outcome.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'

let database: TestDatabase
let postgres: Postgres

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(10)
})
afterAll(async () => {
  await database.release()
})

const ok: Outcome = { type: 'ok', json: {} }
const limited = (retryAfterMs: number | null): Outcome => ({ type: 'rate_limited', retryAfterMs })
const hour = 3_600_000

/** `again` opens the same client id's budget, like another process. */
function open(dailyRequests: number): Budget & { clientId: string; again: () => Budget } {
  const clientId = crypto.randomUUID()
  const again = () => openBudget({ sql: postgres, clientId, dailyRequests })
  return { ...again(), clientId, again }
}

/** Lets time pass for a budget. */
async function pass(clientId: string, ms: number): Promise<void> {
  await postgres.query(
    `update api_pauses set window_started_at = window_started_at - make_interval(secs => $2),
       paused_until = paused_until - make_interval(secs => $2) where client_id = $1`,
    [clientId, ms / 1000],
  )
}

async function addUsers(count: number): Promise<void> {
  await postgres.query(
    `insert into users (spotify_id) select gen_random_uuid() from generate_series(1, $1)`,
    [count],
  )
}

describe('the budget', () => {
  test('grants what is left and not one request more, over all lanes and processes at once', async () => {
    const budget = open(100)
    const others = Array.from({ length: 4 }, () => budget.again())
    const granted = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        (others[i % 4] ?? budget).reserve(i % 2 ? 'polling' : 'accounts', 3).then((r) => r.granted),
      ),
    )
    expect(granted.reduce((a, b) => a + b)).toBe(100)
    const state = await budget.read()
    expect(state.left).toBe(0)
    expect(state.lanes.polling.used + state.lanes.accounts.used).toBe(100)
  })

  test('a part is granted when there is less, and the refusal says until when', async () => {
    const budget = open(10)
    const { granted, refusal } = await budget.reserve('polling', 12)
    expect(granted).toBe(10)
    expect(refusal?.reason).toBe('spent')
    expect(refusal?.retryAfterMs).toBeGreaterThan(23.9 * hour)
    expect(refusal?.retryAfterMs).toBeLessThanOrEqual(24 * hour)
  })

  test('the window begins with the first request and is new 24 hours later', async () => {
    const budget = open(10)
    expect((await budget.read()).remainingMs).toBe(24 * hour)
    await budget.reserve('accounts', 1)
    await budget.reserve('polling', 8)
    await pass(budget.clientId, 23.9 * hour)
    expect((await budget.read()).left).toBe(1)
    await pass(budget.clientId, 0.2 * hour)
    expect(await budget.read()).toMatchObject({ left: 10, remainingMs: 24 * hour })
    expect(await budget.reserve('polling', 10)).toMatchObject({ granted: 10, refusal: null })
    expect((await budget.read()).lanes.accounts.used).toBe(0)
  })

  test('enrichment gets only what polling does not need for the rest of the window', async () => {
    await addUsers(5)
    const budget = open(600)
    const first = await budget.reserve('enrichment', 600)
    expect(first.granted).toBeGreaterThan(50)
    expect(first.granted).toBeLessThan(200)
    expect(first.refusal?.reason).toBe('kept_for_polling')
    expect(first.refusal?.retryAfterMs).toBeLessThanOrEqual(10 * 60_000)
    expect((await budget.reserve('polling', 600 - first.granted)).refusal).toBeNull()
    await postgres.query('delete from users')
  })

  test('what polling did not need is enrichment’s as the window ends', async () => {
    await addUsers(5)
    const budget = open(600)
    await budget.reserve('polling', 1)
    await pass(budget.clientId, 23.9 * hour)
    const { granted } = await budget.reserve('enrichment', 600)
    expect(granted).toBeGreaterThan(590)
    await postgres.query('delete from users')
  })

  test('client ids have budgets of their own', async () => {
    const [one, other] = [open(5), open(5)]
    await one.reserve('polling', 5)
    expect((await other.reserve('polling', 5)).granted).toBe(5)
  })
})

describe('a pause', () => {
  test('stops its lane in every process, and survives a restart', async () => {
    const budget = open(100)
    await budget.settle('polling', { type: 'quota_exceeded', retryAfterMs: 49_861_000 })
    const reborn = budget.again()
    const { granted, refusal } = await reborn.reserve('polling', 1)
    expect(granted).toBe(0)
    expect(refusal).toMatchObject({ reason: 'paused', detail: 'quota_exceeded' })
    expect(refusal?.retryAfterMs).toBeGreaterThan(49_800_000)
    expect((await reborn.reserve('enrichment', 1)).granted).toBe(1)
    expect((await reborn.read()).left).toBe(99)
  })

  test('ends by itself', async () => {
    const budget = open(100)
    await budget.settle('polling', limited(5_000))
    await pass(budget.clientId, 5_001)
    expect((await budget.reserve('polling', 1)).granted).toBe(1)
  })

  test.each([100, 1_000_000])(
    'of which the end comes between two looks is not taken for a spent budget (%d a day)',
    async (daily) => {
      const budget = open(daily)
      for (let round = 0; round < 40; round++) {
        await budget.settle('enrichment', limited(10))
        for (let granted = 0; granted === 0; ) {
          const reservation = await budget.reserve('enrichment', 1)
          granted = reservation.granted
          if (granted === 0) expect(reservation.refusal).toMatchObject({ reason: 'paused' })
          expect(reservation.refusal?.retryAfterMs ?? 0).toBeLessThan(1_000)
        }
      }
      await budget.close()
    },
  )

  test('a shorter one never cuts a longer one short', async () => {
    const budget = open(100)
    await budget.settle('polling', limited(80_000))
    await budget.settle('polling', limited(2_000))
    await budget.settle('polling', limited(null))
    const { pausedForMs, reason } = (await budget.read()).lanes.polling
    expect(pausedForMs).toBeGreaterThan(79_000)
    expect(reason).toBe('rate_limited')
  })

  test('without Retry-After grows with each in a row; answers that were under way count as one', async () => {
    const budget = open(100)
    const lengths: number[] = []
    for (let i = 0; i < 4; i++) {
      await Promise.all(Array.from({ length: 5 }, () => budget.settle('polling', limited(null))))
      lengths.push((await budget.read()).lanes.polling.pausedForMs)
      await pass(budget.clientId, 2 ** i * 2_000 + 1)
    }
    expect(lengths.map((ms) => Math.ceil(ms / 1_000))).toEqual([2, 4, 8, 16])
  })

  test('strikes are forgotten after a success, but not by one that began before the pause', async () => {
    const budget = open(100)
    await budget.settle('polling', limited(null))
    await budget.settle('polling', ok)
    expect((await budget.again().read()).lanes.polling.strikes).toBe(1)
    await pass(budget.clientId, 3_000)
    // A process that did not see the pause reads it from the state.
    const other = budget.again()
    await other.read()
    await other.settle('polling', ok)
    expect((await budget.read()).lanes.polling).toMatchObject({ strikes: 0, reason: null })
  })
})
