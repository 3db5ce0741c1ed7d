import type { Sql } from '../../lib/postgres.ts'
import { readLogNumber } from '../../services/loader/log-number.ts'
import type { Stretch } from './journal.ts'

/** Offsets whose plays are counted by one statement: no statement may take longer than a minute. */
const offsetsAtATime = 1_000_000

/** Whether there are any plays that a page may own: a lost database has none to be judged. */
export async function holdsPlays(sql: Sql): Promise<boolean> {
  const { rows } = await sql.query<{ found: boolean }>(
    'select exists (select from plays where page_incarnation >= 0) as found',
  )
  return rows[0]?.found ?? true
}

/** Counts the plays that are stored as those of pages of a range. */
export async function countPlays(
  sql: Sql,
  { stretches, user }: { stretches: readonly Stretch[]; user: number | null },
): Promise<number> {
  let plays = 0
  for (const { topic, partition, incarnation, from, to } of stretches) {
    // A stretch of the topic is of its latest log.
    const log = incarnation ?? (await readLogNumber(sql, { topic, partition }))
    for (let first = from; first < to; first += offsetsAtATime) {
      const { rows } = await sql.query<{ n: number }>(
        `select count(*)::int as n from plays
         where page_partition = $1 and page_offset >= $2 and page_offset < $3 and page_incarnation = $4
           and ($5::bigint is null or user_id = $5)`,
        [partition, first, Math.min(first + offsetsAtATime, to), log, user],
      )
      plays += rows[0]?.n ?? 0
    }
  }
  return plays
}
