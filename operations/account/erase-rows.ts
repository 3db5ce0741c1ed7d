import { pause } from '../../lib/backoff.ts'
import type { Postgres, Sql } from '../../lib/postgres.ts'
import type { Owner, RowCounts } from './report.ts'

interface OwnRows {
  table: string
  /** The condition on the rows; $1 is the id. */
  where: string
}

/** Rows that name a user in another way than by a column `user_id`. `users` comes last: other tables refer to it. */
const otherRows: readonly OwnRows[] = [
  { table: 'incidents', where: `subject = 'user:' || $1::bigint` },
  { table: 'reruns', where: `plan -> 'choice' ->> 'user' = ($1::bigint)::text` },
  { table: 'users', where: 'id = $1::bigint' },
]

/**
 * Every table that holds something of a user. Postgres' catalogue lists those with a column `user_id`, so a new table
 * is not forgotten. The marks of erased users stay.
 */
async function readOwnRows(sql: Sql): Promise<OwnRows[]> {
  const { rows } = await sql.query<{ table: string }>(
    `select quote_ident(c.relname) as table from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and a.attname = 'user_id' and not a.attisdropped and c.relname <> 'erased_users' order by 1`,
  )
  return [...rows.map(({ table }) => ({ table, where: 'user_id = $1::bigint' })), ...otherRows]
}

export async function countRows(sql: Sql, owner: Owner): Promise<RowCounts> {
  const counts: RowCounts = {}
  for (const { table, where } of await readOwnRows(sql)) {
    const found = await sql.query<{ n: number }>(`select count(*)::int as n from ${table} where ${where}`, [
      owner.id,
    ])
    counts[table] = found.rows[0]?.n ?? 0
  }
  return counts
}

/** Loaders queue behind the lock request for this long; then they go first. */
const lockWithin = '2s'
const lockTries = 30
const betweenTriesMs = 500
const lockNotAvailable = '55P03'

/**
 * Sets the mark that keeps loaders from storing anything more of a user. It locks the table of marks for a moment: a
 * loader that read the table before has committed by then, and {@link removeRows} removes what it stored; a loader
 * that reads it later sees the mark.
 *
 * @throws Postgres' own error 55P03 when loaders hold the table for more than a minute
 */
export async function markErased(postgres: Postgres, owner: Owner, signal: AbortSignal): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await postgres.transaction((sql) => setMark(sql, owner))
    } catch (error) {
      const isLocked = error instanceof Error && 'code' in error && error.code === lockNotAvailable
      if (!isLocked || tries === lockTries || signal.aborted) throw error
      await pause(betweenTriesMs, signal)
    }
  }
}

async function setMark(sql: Sql, { id }: Owner): Promise<void> {
  await sql.query(`set local lock_timeout = '${lockWithin}'`)
  await sql.query('lock table erased_users in access exclusive mode')
  await sql.query('insert into erased_users (user_id) values ($1) on conflict do nothing', [id])
  // After a loss of the database ids begin again: no other user may get this one.
  await sql.query(
    `select setval('users_id_seq', $1::bigint) from users_id_seq where last_value < $1::bigint`,
    [id],
  )
}

/**
 * Removes all rows of a marked user. No new rows come, so it needs no lock, and the next run removes what a killed one
 * leaves.
 *
 * @returns also whether a poller held the lease on the user: a page may still be on its way
 */
export async function removeRows(
  postgres: Postgres,
  owner: Owner,
): Promise<{ tables: RowCounts; polling: boolean }> {
  const polled = await postgres.query<{ claimed: boolean }>(
    'delete from poll_state where user_id = $1 returning coalesce(leased_until > now(), false) as claimed',
    [owner.id],
  )
  const tables: RowCounts = { poll_state: polled.rows.length, plays: await removePlays(postgres, owner) }
  for (const { table, where } of await readOwnRows(postgres)) {
    const { rowCount } = await postgres.query(`delete from ${table} where ${where}`, [owner.id])
    tables[table] = (tables[table] ?? 0) + (rowCount ?? 0)
  }
  // Examples do not say whose they are, so all of them go.
  await postgres.query(
    `update reruns set tally = tally || '{"deadExamples": [], "removedExamples": []}'
     where coalesce(leased_until < now(), true)
       and (tally -> 'deadExamples' <> '[]' or tally -> 'removedExamples' <> '[]')`,
  )
  return { tables, polling: polled.rows.some(({ claimed }) => claimed) }
}

const playsAtATime = 10_000

/** Removes in portions: years of plays would exceed the limit on a statement's time. */
async function removePlays(sql: Sql, { id }: Owner): Promise<number> {
  for (let removed = 0; ; ) {
    const { rowCount } = await sql.query(
      `delete from plays p using (select played_at, track_id from plays where user_id = $1 limit $2) portion
       where p.user_id = $1 and (p.played_at, p.track_id) = (portion.played_at, portion.track_id)`,
      [id, playsAtATime],
    )
    if (!rowCount) return removed
    removed += rowCount
  }
}
