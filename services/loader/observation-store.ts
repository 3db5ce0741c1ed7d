import type { Sql } from '../../lib/postgres.ts'
import type { Observation } from './catalogue.ts'
import type { WriteMode } from './catalogue-store.ts'

type ObservationTable = 'track_popularity' | 'artist_popularity' | 'artist_followers'

/** Upserts daily numbers; the last one seen of a day wins. @returns how many are new or changed */
export async function upsertObservations(
  sql: Sql,
  { table, mode }: { table: ObservationTable; mode: WriteMode },
  rows: readonly Observation[],
): Promise<number> {
  if (rows.length === 0) return 0
  const { rowCount } = await sql.query({
    name: `loader_${table}`,
    text: `
      insert into ${table} as t (id, observed_on, value, observed_at)
      select id, observed_on, value, to_timestamp(observed_at / 1000)
      from unnest($1::text[], $2::date[], $3::bigint[], $4::float8[]) as r (id, observed_on, value, observed_at)
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
