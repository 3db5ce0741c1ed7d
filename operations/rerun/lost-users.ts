import type { Sql } from '../../lib/postgres.ts'
import type { Stretch } from './journal.ts'

interface Orphan {
  userId: number
  plays: number
  newest: Date
}

const shown = 10

/**
 * Records the logs that were restored: a new database knows none, and the loader numbers the next log of a partition
 * after them. The loader fills in the topic's id.
 */
export async function noteLogs(sql: Sql, stretches: readonly Stretch[]): Promise<void> {
  const later = stretches.filter((s) => s.incarnation)
  await sql.query(
    `insert into log_incarnations (topic, partition, incarnation)
     select * from unnest($1::text[], $2::int[], $3::int[]) on conflict do nothing`,
    [later.map((s) => s.topic), later.map((s) => s.partition), later.map((s) => s.incarnation)],
  )
}

/**
 * After a loss of the database, ids would begin at 1 again, and new users would get the plays of earlier ones. So new
 * ids begin after the highest id in the plays and among erased users.
 */
export async function continueUserIds(sql: Sql): Promise<void> {
  await sql.query(
    `select setval(seq, highest) from
       (select pg_get_serial_sequence('users', 'id') as seq, greatest(
         (select max(user_id) from plays), (select max(user_id) from erased_users)) as highest) p
     where highest >= (select last_value from users_id_seq)`,
  )
}

/**
 * Ids with plays and without a user, in order. It goes from id to id along the primary key: reading all plays would
 * exceed the limit on a statement's time.
 */
const orphansSql = `
  with recursive holder (user_id) as (
    (select user_id from plays order by user_id limit 1)
    union all
    select (select p.user_id from plays p where p.user_id > h.user_id order by p.user_id limit 1)
    from holder h where h.user_id is not null
  )
  select h.user_id as "userId" from holder h
  where h.user_id is not null
    and not exists (select from users u where u.id = h.user_id)
    and not exists (select from erased_users e where e.user_id = h.user_id)
  limit $1`

/** At most this many are counted. */
const mostOrphans = 10_000

/** Ids with plays and without an account. */
export interface Orphans {
  ids: number
  /** If false, there may be more. */
  isAll: boolean
  /** The first ten. */
  first: Orphan[]
}

export async function readOrphans(sql: Sql): Promise<Orphans> {
  const { rows } = await sql.query<{ userId: number }>(orphansSql, [mostOrphans])
  const { rows: first } = await sql.query<Orphan>(
    `select user_id as "userId", count(*)::int as plays, max(played_at) as newest from plays
     where user_id = any ($1::bigint[]) group by 1 order by 1`,
    [rows.slice(0, shown).map(({ userId }) => userId)],
  )
  return { ids: rows.length, isAll: rows.length < mostOrphans, first }
}

/**
 * Erased users of whom something is in the database again: the loader was quicker than the restore, or an old dump was
 * loaded.
 */
export async function readReturned(sql: Sql): Promise<number[]> {
  const { rows } = await sql.query<{ id: number }>(
    `select user_id as id from erased_users e where exists (select from users where id = e.user_id)
       or (select user_id from plays where user_id = e.user_id limit 1) is not null order by 1`,
  )
  return rows.map(({ id }) => id)
}
