import type { Sql } from '../../lib/postgres.ts'
import type { MetadataKind } from '../../lib/topology.ts'
import type { Wanted } from './wanted.ts'

const columns: Record<MetadataKind, { table: string; status: string; requestedAt: string }> = {
  artist: { table: 'artists', status: 'metadata_status', requestedAt: 'metadata_requested_at' },
  track: { table: 'tracks', status: 'metadata_status', requestedAt: 'metadata_requested_at' },
  'audio-features': { table: 'tracks', status: 'features_status', requestedAt: 'features_requested_at' },
}

/** Clocks of the loader and of the database may differ by this much. */
const clockSkewMs = 300_000

/**
 * Keys of requests whose answer is stored already, so that a replay of `metadata.wanted` costs no budget. Only an
 * answer to this request or a later one counts, so a request for newer facts is still asked.
 */
export async function readStoredAnswers(
  sql: Sql,
  kind: MetadataKind,
  wanted: readonly Wanted[],
): Promise<Set<string>> {
  const { table, status, requestedAt } = columns[kind]
  const { rows } = await sql.query<{ key: string }>({
    name: `enricher_answered_${kind}`,
    text: `
      select w.key from unnest($1::text[], $2::text[], $3::float8[]) as w (key, id, requested_at)
      join ${table} t on t.id = w.id
      where t.${status} in ('found', 'not_found')
        and t.${requestedAt} >= to_timestamp((w.requested_at - ${clockSkewMs}) / 1000)`,
    values: [wanted.map((w) => w.key), wanted.map((w) => w.id), wanted.map((w) => w.requestedAt)],
  })
  return new Set(rows.map((row) => row.key))
}
