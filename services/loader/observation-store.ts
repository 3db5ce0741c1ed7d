import type { Sql } from '../../lib/postgres.ts'
import type { Observation, WriteMode } from './catalogue.ts'
import { compareText } from './catalogue.ts'

type ObservationTable = 'track_popularity' | 'artist_popularity' | 'artist_followers'

/**
 * Upserts daily numbers; the last one seen on a day wins. A number equal to that of the latest earlier row is not
 * written, because each row costs a write to a random leaf of the index.
 *
 * @param rows sorted by id
 * @returns how many rows are new or changed
 */
export async function upsertObservations(
  sql: Sql,
  into: { table: ObservationTable; mode: WriteMode },
  rows: readonly Observation[],
): Promise<number> {
  let written = 0
  // Each day is compared with the one before it, which may be of the same batch.
  const days = [...Map.groupBy(rows, ({ day }) => day)].sort(([a], [b]) => compareText(a, b))
  for (const [, ofDay] of days) written += await upsertDay(sql, into, ofDay)
  return written
}

async function upsertDay(
  sql: Sql,
  { table, mode }: { table: ObservationTable; mode: WriteMode },
  rows: readonly Observation[],
): Promise<number> {
  const { rowCount } = await sql.query({
    name: `loader_${table}`,
    text: `
      insert into ${table} as t (id, observed_on, value, observed_at)
      select id, observed_on, value, to_timestamp(observed_at / 1000)
      from unnest($1::text[], $2::date[], $3::bigint[], $4::float8[]) as r (id, observed_on, value, observed_at)
      where not exists (
        select from (
          select observed_on, value from ${table} p where p.id = r.id and p.observed_on <= r.observed_on
          order by observed_on desc limit 1
        ) last where last.observed_on < r.observed_on and last.value = r.value
      )
      on conflict (id, observed_on) do update set value = excluded.value, observed_at = excluded.observed_at
      where excluded.observed_at > t.observed_at
        or ($5::boolean and excluded.observed_at = t.observed_at and excluded.value <> t.value)`,
    values: [
      rows.map((r) => r.id),
      rows.map((r) => r.day),
      rows.map((r) => r.value),
      rows.map((r) => r.at),
      mode === 'repair',
    ],
  })
  return rowCount ?? 0
}
