import { readObituary } from '../../lib/kafka/dead-letter.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { Broker } from '../broker.ts'
import type { Place, PlayClaim, RejectClaim } from './account.ts'

/** Places of the pages that stored these plays, in their order; null: no row. */
export async function readStoredBy(sql: Sql, plays: readonly PlayClaim[]): Promise<(Place | null)[]> {
  const { rows } = await sql.query<{ page: Place | null }>(
    `select p.page_partition || '/' || p.page_offset as page
     from unnest($1::bigint[], $2::timestamptz[], $3::text[]) with ordinality as c (user_id, played_at, track_id, i)
     left join plays p using (user_id, played_at, track_id) order by c.i`,
    [plays.map((p) => p.userId), plays.map((p) => new Date(p.playedAt)), plays.map((p) => p.trackId)],
  )
  return rows.map((r) => r.page)
}

/** Places of the pages that reported these items, in their order; null: not remembered. */
export async function readReportedBy(sql: Sql, rejects: readonly RejectClaim[]): Promise<(Place | null)[]> {
  const { rows } = await sql.query<{ page: Place | null }>(
    `select r.page_partition || '/' || r.page_offset as page
     from unnest($1::bigint[], $2::text[]) with ordinality as c (user_id, item_digest, i)
     left join rejected_items r using (user_id, item_digest) order by c.i`,
    [rejects.map((r) => r.userId), rejects.map((r) => r.digest)],
  )
  return rows.map((r) => r.page)
}

/** Places of all records of a topic that died in a group. */
export async function readDead(
  broker: Broker,
  of: { topic: string; group: string; signal: AbortSignal },
): Promise<Set<Place>> {
  const { admin, client, topology } = broker
  const topic = topology.deadLetters.name
  const dead = new Set<Place>()
  await readRange({
    ...client,
    topic,
    group: `${client.config.prefix}songswap-audit-${crypto.randomUUID()}`,
    ranges: ((await admin.readEnds(topic)) ?? []).map(({ partition, start, end }) => ({
      partition,
      from: start,
      to: end,
    })),
    signal: of.signal,
    onRecords: async (records) => {
      for (const record of records) {
        const obituary = readObituary(record)
        if (obituary?.group === of.group && obituary.topic === of.topic) {
          dead.add(`${obituary.partition}/${obituary.offset}`)
        }
      }
    },
  })
  return dead
}
