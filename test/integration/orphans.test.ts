import { afterAll, beforeAll, expect, test } from 'vitest'
import { toOrphanLines } from '../../cli/rerun/lost-user-lines.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { readOrphans } from '../../operations/rerun/lost-users.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'

let database: TestDatabase
let postgres: Postgres

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(1)
})
afterAll(async () => {
  await database.release()
})

/** Rows of plays that sequential scans have read. */
async function rowsScanned(): Promise<number> {
  await postgres.query('select pg_stat_force_next_flush()')
  const { rows } = await postgres.query<{ n: number }>(
    `select seq_tup_read as n from pg_stat_user_tables where relname = 'plays'`,
  )
  return rows[0]?.n ?? 0
}

test('after a restore, ids without an account are found by the key, without reading all plays', async () => {
  await postgres.query(`
    insert into users (id, spotify_id) overriding system value select n, 'user' || n from generate_series(1, 300) n;
    insert into erased_users (user_id) values (500);
    insert into plays (user_id, played_at, track_id, source, page_partition, page_offset)
      select u, timestamptz '2026-11-24' + n * interval '1 minute', 't', 'poll', 0, n
      from unnest(array(select generate_series(1, 300)) || array[500] || array(select generate_series(700, 711))) u,
        generate_series(1, 100) n;
    analyze plays`)
  const before = await rowsScanned()
  const lines = toOrphanLines(await readOrphans(postgres))
  expect(lines.slice(0, 3)).toEqual([
    '\n12 user ids with plays and without an account:',
    '  700: 100 plays, the newest of 2026-11-24 01:40:00 UTC',
    '  701: 100 plays, the newest of 2026-11-24 01:40:00 UTC',
  ])
  expect(lines).toContain('  … and 2 more.')
  expect(await rowsScanned()).toBe(before)
})
