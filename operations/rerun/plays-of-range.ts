import type { Sql } from '../../lib/postgres.ts'
import { readLogNumber } from '../../services/loader/log-number.ts'
import type { Stretch } from './journal.ts'

/** Offsets whose plays one statement counts, so that it stays below the limit of a minute. */
const offsetsAtATime = 1_000_000

/** Whether any play belongs to a page; a new database has none to judge. */
export async function holdsPlays(sql: Sql): Promise<boolean> {
  const { rows } = await sql.query<{ found: boolean }>(
    'select exists (select from plays where page_incarnation >= 0) as found',
  )
  return rows[0]?.found ?? true
}

/** Counts the plays that name pages of the stretches. */
export async function countPlays(
  sql: Sql,
  { stretches, user }: { stretches: readonly Stretch[]; user: number | null },
): Promise<number> {
  let plays = 0
  for (const { topic, partition, incarnation, from, to } of stretches) {
    // A stretch of a topic belongs to the partition's latest log.
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
