import type { Postgres } from '../../lib/postgres.ts'
import type { Broker } from '../operator.ts'
import type { Run, Stretch } from './journal.ts'

/** Whether a run reads all pages that ever existed without a break, so that it knows which facts no page states. */
export async function isWhole(broker: Broker, sql: Postgres, { plan, tally }: Run): Promise<boolean> {
  const { recentlyPlayed } = broker.topology
  if (typeof plan.choice.user === 'number') return false
  if (tally.read > 0 || plan.stretches.some(({ from }) => from > 0)) return false
  // Pages of an earlier log are only in the archive.
  const { rowCount } = await sql.query('select from log_incarnations where topic = $1 and incarnation > 0', [
    recentlyPlayed.name,
  ])
  if (rowCount || (await readElsewhere(sql, plan.stretches))) return false
  const ends = (await broker.admin.readEnds(recentlyPlayed.name)) ?? []
  return ends.every(({ partition, start, end }) => {
    const stretch = plan.stretches.find((s) => s.partition === partition)
    return start === 0 && (end === 0 || stretch !== undefined)
  })
}

/**
 * Whether the tables may hold facts from pages outside the range: a restore has loaded rows, from the archive or a
 * file, or a play names a page outside the range.
 */
async function readElsewhere(sql: Postgres, stretches: readonly Stretch[]): Promise<boolean> {
  const { rows } = await sql.query<{ found: boolean }>(
    `select exists (select from reruns where command = 'restore') or exists (
       select from plays p where p.page_incarnation <> 0 or not exists (
         select from unnest($1::int[], $2::bigint[]) as s (partition, "to")
         where s.partition = p.page_partition and p.page_offset < s."to"
       )
     ) as found`,
    [stretches.map((s) => s.partition), stretches.map((s) => s.to)],
  )
  return rows[0]?.found ?? true
}
