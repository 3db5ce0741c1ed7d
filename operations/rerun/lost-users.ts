import type { Sql } from '../../lib/postgres.ts'
import type { Stretch } from './journal.ts'

interface Orphan {
  userId: number
  plays: number
  newest: Date
}

const shown = 10

/**
 * The loader counts a partition's logs on from those that were restored: a database that was lost knows none. Which
 * topic the latest was read from is for the loader to find.
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
 * After a loss of the database the users are gone, and ids would be given from 1 again, to people whose plays are
 * somebody else's: new ids begin after the highest one that anybody had.
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
 * Ids with plays and without a user, in order. Goes from one id to the next by the primary key: reading all plays would
 * take longer than a statement may.
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

/** More than these are not counted. */
const mostOrphans = 10_000

/** Ids with plays and without an account. */
export interface Orphans {
  ids: number
  /** false: there may be more. */
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
 * Users who were erased and of whom something is in the database again: the loader was quicker than the restore, or an
 * old dump was loaded.
 */
export async function readReturned(sql: Sql): Promise<number[]> {
  const { rows } = await sql.query<{ id: number }>(
    `select user_id as id from erased_users e where exists (select from users where id = e.user_id)
       or (select user_id from plays where user_id = e.user_id limit 1) is not null order by 1`,
  )
  return rows.map(({ id }) => id)
}
