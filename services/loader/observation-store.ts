import type { Sql } from '../../lib/postgres.ts'
import type { Observation } from './catalogue.ts'

type ObservationTable = 'track_popularity' | 'artist_popularity' | 'artist_followers'

/** Upserts daily numbers; the last one seen of a day wins. */
export async function upsertObservations(
  sql: Sql,
  table: ObservationTable,
  rows: readonly Observation[],
): Promise<void> {
  if (rows.length === 0) return
  await sql.query({
    name: `loader_${table}`,
    text: `
      insert into ${table} as t (id, observed_on, value, observed_at)
      select id, observed_on, value, to_timestamp(observed_at / 1000)
      from unnest($1::text[], $2::date[], $3::bigint[], $4::float8[]) as r (id, observed_on, value, observed_at)
      on conflict (id, observed_on) do update set value = excluded.value, observed_at = excluded.observed_at
      where excluded.observed_at > t.observed_at`,
    values: [rows.map((r) => r.id), rows.map((r) => r.day), rows.map((r) => r.value), rows.map((r) => r.at)],
  })
}
