import { pause } from '../../lib/backoff.ts'
import type { Postgres, Sql } from '../../lib/postgres.ts'
import type { Owner, RowCounts } from './report.ts'

interface OwnRows {
  table: string
  /** Which rows; $1 is the id. */
  where: string
}

/** Rows that name a user otherwise than by a column `user_id`. `users` comes last: others refer to it. */
const otherRows: readonly OwnRows[] = [
  { table: 'incidents', where: `subject = 'user:' || $1::bigint` },
  { table: 'reruns', where: `plan -> 'choice' ->> 'user' = ($1::bigint)::text` },
  { table: 'users', where: 'id = $1::bigint' },
]

/**
 * Every table that holds something of a user. Those with a column `user_id` are asked from the catalogue, so that a
 * new table is not forgotten; the marks of erased users stay.
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

/** Loaders that come meanwhile stand still for as long; then they go first. */
const lockWithin = '2s'
const lockTries = 30
const betweenTriesMs = 500
const lockNotAvailable = '55P03'

/**
 * Sets the mark from which on no loader stores anything of a user. The table of marks is locked for a moment: a
 * loader that has looked into it before has committed by then, and what it stored is removed with the rest; one that
 * looks later sees the mark.
 *
 * @throws Postgres' own error 55P03 when a loader does not let go of the table for a minute
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
  // After a loss of the database ids begin again: this one must not be given to anybody else.
  await sql.query(
    `select setval('users_id_seq', $1::bigint) from users_id_seq where last_value < $1::bigint`,
    [id],
  )
}

/**
 * Removes all rows of a user who is marked: nothing comes after them, so no lock is needed, and what a death leaves
 * is removed by the next run.
 *
 * @returns also whether a poller was asking for a page of the user, which may still be on its way
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
  // An example may be anybody's, and nobody can say whose.
  await postgres.query(
    `update reruns set tally = tally || '{"deadExamples": [], "removedExamples": []}'
     where coalesce(leased_until < now(), true)
       and (tally -> 'deadExamples' <> '[]' or tally -> 'removedExamples' <> '[]')`,
  )
  return { tables, polling: polled.rows.some(({ claimed }) => claimed) }
}

const playsAtATime = 10_000

/** In portions: years of plays are more than one statement may take its time for. */
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
