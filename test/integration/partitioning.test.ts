import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Postgres } from '../../lib/postgres.ts'
import { historyHandler } from '../../services/loader/history.ts'
import { Memory } from '../../services/loader/memory.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'
import { item, pageRecord } from '../support/pages.ts'
import { until } from '../support/until.ts'

const noon = Date.parse('2026-11-24T12:00:00.000Z')
const at = (minutes: number) => noon + minutes * 60_000
const users = 40

let database: TestDatabase
let postgres: Postgres

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(8)
})
afterAll(async () => {
  await database.release()
})

/** The SQL of the recipe, a string for each step that has any. */
function readRecipe(): string[] {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'scaling.md'), 'utf8')
  return [...text.matchAll(/```sql\n(?<sql>.*?)```/gs)].map((match) => match.groups?.sql ?? '')
}

/** Splits a step where a statement may not share a transaction with others. */
function toStatements(sql: string): string[] {
  return sql.includes('call ') ? sql.split(/(?=call )/) : [sql]
}

test('plays are partitioned under load by the recipe of docs/scaling.md: none is lost, doubled or brought back', async () => {
  const handle = historyHandler({
    ...{ postgres, memory: new Memory(), onCommitted: () => undefined, log: database.log },
    rerun: { sureTime: 0 },
  })
  const expected = new Set<string>()
  let loading = true
  let rounds = 0
  /** Like four loaders: each user gets a new play in each round, and the first two users sometimes lose theirs. */
  const load = async (loader: number) => {
    for (let n = 0; loading; n++) {
      const pages = Array.from({ length: users / 4 }, (_, i) => {
        const user = 1 + loader * (users / 4) + i
        const played = [at(n), at(n - 1)]
        return pageRecord(
          played.map((ms) => item(ms, 'T', { context: { type: 'playlist', uri: `x${n}` } })),
          { user, fetchedAt: at(n + 1), partition: loader, offset: n * users + i },
        )
      })
      await handle(pages)(new AbortController().signal)
      for (const { value } of pages)
        expected.add(`${value.subject} ${at(n)}`).add(`${value.subject} ${at(n - 1)}`)
      if (loader === 0) {
        await postgres.query('delete from plays where user_id = 1')
        for (const key of expected) if (key.startsWith('1 ')) expected.delete(key)
      }
      rounds++
    }
  }
  const loaders = [0, 1, 2, 3].map(load)
  const more = async () => {
    const from = rounds
    await until(() => rounds > from + 12, 'every loader has got on')
  }
  // A transaction that begins before the recipe and commits when another session waits for it, or after the copy.
  let step = 0
  const early = postgres.transaction(async (sql) => {
    await sql.query(`insert into plays (user_id, played_at, track_id, source, page_partition, page_offset)
      values (900, to_timestamp(${at(0) / 1000}), 'early', 'poll', 0, 0)`)
    const waiting = `select from pg_locks where relation = 'plays'::regclass and not granted`
    await until(async () => step > 3 || (await postgres.query(waiting)).rowCount, 'somebody waits for it')
  })
  expected.add(`900 ${at(0)}`)
  await more()
  const steps = readRecipe()
  expect(steps).toHaveLength(4)
  for (const sql of steps) {
    step++
    for (const statement of toStatements(sql)) {
      await postgres.query(statement)
      await more()
    }
  }
  await early
  loading = false
  await Promise.all(loaders)

  const { rows } = await postgres.query<{ key: string }>(
    `select user_id || ' ' || round(extract(epoch from played_at) * 1000) as key from plays`,
  )
  expect(rows.map(({ key }) => key).sort()).toEqual([...expected].sort())
  const parts = await postgres.query(
    `select from pg_inherits where inhparent = 'plays'::regclass and inhrelid in (select tableoid from plays)`,
  )
  expect(parts.rowCount).toBeGreaterThan(10)
}, 120_000)
