import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Postgres, Sql } from '../../lib/postgres.ts'
import { claimDue, giveBack, readNextDue, recordPages } from '../../services/poller/claims.ts'
import { createPageRecorder } from '../../services/poller/page-recorder.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'

const many = 100_000
const dueEvery = 5_000
let database: TestDatabase
let postgres: Postgres

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(3)
  await postgres.query(`insert into users (id, spotify_id) select n, n from generate_series(1, ${many}) n`)
  await postgres.query(`insert into spotify_tokens (user_id, refresh_token) select id, 'r' from users`)
  await postgres.query(
    `insert into poll_state (user_id, next_poll_at)
     select id, now() + case when id % ${dueEvery} = 0 then interval '-1 s' else interval '1 h' end from users`,
  )
  await postgres.query('analyze users, spotify_tokens, poll_state, incidents')
})
afterAll(async () => {
  await database.release()
})

/** The plan of each statement in `work`; none of them is run. */
async function plansOf(work: (sql: Sql) => Promise<unknown>): Promise<string[]> {
  const plans: string[] = []
  const explain = async (statement: string | { text: string; values: unknown[] }, values?: unknown[]) => {
    const { text, values: own } =
      typeof statement === 'string' ? { text: statement, values: values ?? [] } : statement
    const { rows } = await postgres.query<{ 'QUERY PLAN': string }>(`explain ${text}`, own)
    plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'))
    return { rows: [], rowCount: 0 }
  }
  await work({ query: explain } as unknown as Sql)
  return plans
}

const lease = { userId: 7, leaseId: crypto.randomUUID() }
const page = { ...lease, nextMs: 60_000, digest: 'd', newestPlayedAt: null }

test.each<[string, (sql: Sql) => Promise<unknown>]>([
  ['claiming users', (sql) => claimDue(sql, 16, 60_000)],
  ['finding who is due next', (sql) => readNextDue(sql)],
  ['recording pages', (sql) => recordPages(sql, [page])],
  ['giving leases back', (sql) => giveBack(sql, [lease], 0)],
])('among 100,000 users %s is one statement that reads no table from end to end', async (_, work) => {
  const plans = await plansOf(work)
  expect(plans).toHaveLength(1)
  expect(plans[0]).toMatch(/Index (Only )?Scan.* on poll_state/)
  expect(plans[0]).not.toMatch(/Seq Scan on (poll_state|users|spotify_tokens)/)
})

test('pages are recorded together while another statement is under way, each for its own lease alone', async () => {
  const claimed = await claimDue(postgres, 100, 60_000)
  expect(claimed).toHaveLength(many / dueEvery)
  let statements = 0
  const query = (statement: never) => {
    statements++
    return postgres.query(statement)
  }
  const record = createPageRecorder({ query } as unknown as Sql)
  const pages = claimed.map(({ userId, leaseId }, i) => ({
    ...{ userId, leaseId: i === 3 ? crypto.randomUUID() : leaseId },
    ...{ nextMs: 3_600_000, digest: `digest ${userId}`, newestPlayedAt: i === 5 ? null : userId * 1_000 },
  }))
  const kept = await Promise.all(pages.map(record))
  expect(kept).toEqual(pages.map((_, i) => i !== 3))
  expect(statements).toBe(2)
  const { rows } = await postgres.query<{ digest: string | null; leased: boolean; newest: number | null }>(
    `select page_digest as digest, lease_id is not null as leased, extract(epoch from newest_played_at)::int as newest
     from poll_state where user_id % $1 = 0 order by user_id`,
    [dueEvery],
  )
  const sorted = pages.map((p, i) => ({ ...p, i })).toSorted((a, b) => a.userId - b.userId)
  expect(rows).toEqual(
    sorted.map(({ userId, newestPlayedAt, i }) =>
      i === 3
        ? { digest: null, leased: true, newest: null }
        : { digest: `digest ${userId}`, leased: false, newest: newestPlayedAt === null ? null : userId },
    ),
  )
})

test('a statement that fails moves no state and fails for each page in it', async () => {
  const failure = new Error('away')
  const record = createPageRecorder({ query: () => Promise.reject(failure) } as unknown as Sql)
  const outcomes = await Promise.allSettled([record(page), record(page), record(page)])
  expect(outcomes).toEqual(outcomes.map(() => ({ status: 'rejected', reason: failure })))
})
