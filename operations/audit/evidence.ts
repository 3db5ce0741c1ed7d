import { readOrigin } from '../../lib/kafka/dead-letter.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { Sql } from '../../lib/postgres.ts'
import { toArray } from '../../lib/postgres.ts'
import type { Broker } from '../operator.ts'
import type { DeadRecords, NamedPlay, PageClaim, Place, PlayClaim, RejectClaim } from './account.ts'
import { toPlace } from './account.ts'

/** A claim and the page that makes it, or null if its record is not a page. */
interface OfPage<C> {
  claim: C
  page: PageClaim | null
}

/**
 * SQL for the place that a row names. An older row lacks the time of its page's record: then the claim's page counts
 * as its page if both are of one log and the row is not older than the record.
 */
const placeSql = (row: string, storedAt: string, timestamp: string) => `
  ${row}.page_partition || '/' || ${row}.page_offset || '@' || coalesce(
    ${timestamp}, case when ${row}.page_incarnation = c.incarnation and ${storedAt} >= to_timestamp(c.timestamp / 1000)
      then c.timestamp::bigint::text end, '')`

const rowTimestamp = `(extract(epoch from p.page_timestamp) * 1000)::bigint::text`

/** The pages that stored these plays, in their order, or null for a play without a row. */
export async function readStoredBy(sql: Sql, plays: readonly OfPage<PlayClaim>[]): Promise<(Place | null)[]> {
  const { rows } = await sql.query<{ page: Place | null }>(
    `select ${placeSql('p', 'p.ingested_at', rowTimestamp)} as page
     from unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::float8[], $5::int[]) with ordinality
       as c (user_id, played_at, track_id, timestamp, incarnation, i)
     left join plays p using (user_id, played_at, track_id) order by c.i`,
    [
      plays.map(({ claim }) => claim.userId),
      plays.map(({ claim }) => new Date(claim.playedAt)),
      plays.map(({ claim }) => claim.trackId),
      plays.map(({ page }) => page?.timestamp ?? null),
      plays.map(({ page }) => page?.incarnation ?? null),
    ],
  )
  return rows.map((r) => r.page)
}

/** The pages that reported these items, in their order, or null for an item that is not remembered. */
export async function readReportedBy(
  sql: Sql,
  rejects: readonly OfPage<RejectClaim>[],
): Promise<(Place | null)[]> {
  const { rows } = await sql.query<{ page: Place | null }>(
    `select ${placeSql('r', 'r.first_seen_at', 'null')} as page
     from unnest($1::bigint[], $2::text[], $3::float8[], $4::int[]) with ordinality
       as c (user_id, item_digest, timestamp, incarnation, i)
     left join rejected_items r using (user_id, item_digest) order by c.i`,
    [
      rejects.map(({ claim }) => claim.userId),
      rejects.map(({ claim }) => claim.digest),
      rejects.map(({ page }) => page?.timestamp ?? null),
      rejects.map(({ page }) => page?.incarnation ?? null),
    ],
  )
  return rows.map((r) => r.page)
}

/**
 * Plays of any user that name one of these pages. Rows that were loaded from a file do not count; of the rows without
 * the time of their page, only those of the page's user do.
 */
export async function readNamed(sql: Sql, pages: readonly PageClaim[]): Promise<NamedPlay[]> {
  const { rows } = await sql.query<{ user_id: string; played_at: Date; track_id: string } & PageClaim>(
    `select p.user_id::text, p.played_at, p.track_id, c.partition, c.offset, c.timestamp, c.incarnation
     from plays p join (
       select distinct * from unnest($1::bigint[], $2::int[], $3::bigint[], $4::float8[], $5::int[])
         as c (user_id, partition, "offset", timestamp, incarnation)
     ) c on c.partition = p.page_partition and c.offset = p.page_offset
     where p.page_partition = any ($2::int[])
       and p.page_offset between (select min(o) from unnest($3::bigint[]) o) and (select max(o) from unnest($3::bigint[]) o)
       and p.page_incarnation >= 0
       and case when p.page_timestamp is null
       then p.user_id = c.user_id and p.page_incarnation = c.incarnation
         and p.ingested_at >= to_timestamp(c.timestamp / 1000)
       else p.page_timestamp = to_timestamp(c.timestamp / 1000)::timestamptz(3) end`,
    [
      toArray(pages.map((p) => p.userId)),
      toArray(pages.map((p) => p.partition)),
      toArray(pages.map((p) => p.offset)),
      toArray(pages.map((p) => p.timestamp)),
      toArray(pages.map((p) => p.incarnation)),
    ],
  )
  return rows.map(({ user_id, played_at, track_id, ...page }) => ({
    ...{ userId: user_id, playedAt: played_at.getTime(), trackId: track_id },
    page: toPlace(page),
  }))
}

/** The present log of each partition of a topic; a partition that is absent has its first log, 0. */
export async function readLogs(sql: Sql, topic: string): Promise<Map<number, number>> {
  const { rows } = await sql.query<{ partition: number; incarnation: number }>(
    'select partition, max(incarnation) as incarnation from log_incarnations where topic = $1 group by 1',
    [topic],
  )
  return new Map(rows.map((row) => [row.partition, row.incarnation]))
}

/** Records of a topic that became dead letters of a group. */
export async function readDead(
  broker: Broker,
  of: { topic: string; group: string; signal: AbortSignal },
): Promise<DeadRecords> {
  const { admin, client, topology } = broker
  const topic = topology.deadLetters.name
  const whole = new Set<Place>()
  const inPart = new Set<Place>()
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
        const obituary = readOrigin(record)
        if (obituary?.group !== of.group || obituary.topic !== of.topic) continue
        const dead = obituary.reason === 'rejected_item' ? inPart : whole
        dead.add(toPlace(obituary))
      }
    },
  })
  return { whole, inPart }
}
