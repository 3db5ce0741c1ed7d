import type { Sql } from '../../lib/postgres.ts'
import { toArray } from '../../lib/postgres.ts'
import { compareText } from './catalogue.ts'
import { compareUsers } from './page.ts'
import type { Healed, PlayRow, RejectedItem } from './transform.ts'

/** The place of a page in the topic, or its place before a restore. */
export interface Place {
  partition: number
  offset: number
  /** Incarnation of the partition's log, or null for the first one. */
  incarnation: number | null
}

/**
 * Updates plays to what the parser now reads from the page that stored them. Plays stored by another page stay,
 * unless that page is later in the same log: then this page is now the first to show them.
 *
 * @param plays each key once, sorted by key
 * @returns how many changed
 */
export async function repairPlays(sql: Sql, plays: readonly PlayRow[]): Promise<number> {
  if (plays.length === 0) return 0
  const { rowCount } = await sql.query({
    name: 'loader_repair_plays',
    text: `
      update plays p set context_type = r.context_type, context_uri = r.context_uri, page_offset = r.page_offset,
        page_timestamp = coalesce(to_timestamp(r.page_timestamp / 1000), p.page_timestamp)
      from unnest($1::bigint[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bigint[],
          $8::int[], $9::float8[])
        as r (user_id, played_at, track_id, context_type, context_uri, page_partition, page_offset,
          page_incarnation, page_timestamp)
      where p.user_id = r.user_id and p.played_at = to_timestamp(r.played_at / 1000) and p.track_id = r.track_id
        and p.page_partition = r.page_partition
        and (
          (p.page_offset = r.page_offset and (p.page_incarnation = r.page_incarnation
            or p.page_timestamp = to_timestamp(r.page_timestamp / 1000)))
          or (p.page_offset > r.page_offset and p.page_incarnation = r.page_incarnation
            and coalesce(p.page_timestamp, p.ingested_at) >= to_timestamp(r.page_timestamp / 1000)))
        and (p.context_type, p.context_uri, p.page_offset)
          is distinct from (r.context_type, r.context_uri, r.page_offset)`,
    values: [
      plays.map((p) => p.userId),
      plays.map((p) => p.playedAt),
      plays.map((p) => p.trackId),
      plays.map((p) => p.contextType),
      plays.map((p) => p.contextUri),
      plays.map((p) => p.partition),
      plays.map((p) => p.offset),
      plays.map((p) => p.incarnation ?? 0),
      plays.map((p) => p.timestamp),
    ],
  })
  return rowCount ?? 0
}

/**
 * Inserts plays that are not stored yet; stored ones do not change.
 *
 * @param plays each key once, sorted by key
 * @returns plays that are new, by the page that showed them
 */
export async function insertPlays(
  sql: Sql,
  plays: readonly PlayRow[],
): Promise<(Place & { stored: number })[]> {
  if (plays.length === 0) return []
  const { rows } = await sql.query<Place & { stored: number }>({
    name: 'loader_plays',
    text: `
      with stored as (
        insert into plays
          (user_id, played_at, track_id, context_type, context_uri, source, page_partition, page_offset,
            page_timestamp, page_incarnation)
        select user_id, to_timestamp(played_at / 1000), track_id, context_type, context_uri, source,
          page_partition, page_offset, to_timestamp(page_timestamp / 1000), page_incarnation
        from unnest($1::bigint[], $2::float8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[],
            $8::bigint[], $9::float8[], $10::int[])
          as r (user_id, played_at, track_id, context_type, context_uri, source, page_partition, page_offset,
            page_timestamp, page_incarnation)
        on conflict do nothing
        returning page_partition, page_offset, page_incarnation
      )
      select page_partition as partition, page_offset as offset, page_incarnation as incarnation,
        count(*)::int as stored
      from stored group by 1, 2, 3`,
    values: [
      toArray(plays.map((p) => p.userId)),
      toArray(plays.map((p) => p.playedAt)),
      toArray(plays.map((p) => p.trackId)),
      toArray(plays.map((p) => p.contextType)),
      toArray(plays.map((p) => p.contextUri)),
      toArray(plays.map((p) => p.source)),
      toArray(plays.map((p) => p.partition)),
      toArray(plays.map((p) => p.offset)),
      toArray(plays.map((p) => p.timestamp)),
      toArray(plays.map((p) => p.incarnation ?? 0)),
    ],
  })
  return rows
}

/**
 * Stores rejected items and which page reports each: the first one that showed it.
 *
 * @returns the reporting page of every item, new or known, by {@link rejectedKey}
 */
export async function rememberRejected(
  sql: Sql,
  items: readonly (RejectedItem & Place)[],
): Promise<Map<string, Place>> {
  if (items.length === 0) return new Map()
  const sorted = items.toSorted((a, b) => compareUsers(a.userId, b.userId) || compareText(a.digest, b.digest))
  const users = sorted.map((i) => i.userId)
  const digests = sorted.map((i) => i.digest)
  await sql.query({
    name: 'loader_rejected_insert',
    text: `
      insert into rejected_items (user_id, item_digest, reason, page_partition, page_offset, page_incarnation)
      select * from unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::int[])
      on conflict do nothing`,
    values: [
      users,
      digests,
      sorted.map((i) => i.reason),
      sorted.map((i) => i.partition),
      sorted.map((i) => i.offset),
      sorted.map((i) => i.incarnation ?? 0),
    ],
  })
  const { rows } = await sql.query<{ user_id: string; digest: string } & Place>({
    name: 'loader_rejected_read',
    text: `
      select i.user_id::text, i.item_digest as digest, i.page_partition as partition, i.page_offset as offset,
        i.page_incarnation as incarnation
      from rejected_items i
      join unnest($1::bigint[], $2::text[]) as r (user_id, digest)
        on i.user_id = r.user_id and i.item_digest = r.digest`,
    values: [users, digests],
  })
  return new Map(rows.map((row) => [rejectedKey(row.user_id, row.digest), row]))
}

/** Deletes rejected items that are read as plays now. */
export async function forgetRejected(sql: Sql, healed: readonly Healed[]): Promise<void> {
  const { rows } = await sql.query<{ user_id: string }>(
    'select distinct user_id::text from rejected_items where user_id = any ($1::bigint[])',
    [[...new Set(healed.map(({ userId }) => userId))]],
  )
  const users = new Set(rows.map(({ user_id }) => user_id))
  const items = healed
    .filter(({ userId }) => users.has(userId))
    .flatMap(({ userId, digests }) => digests().map((digest) => ({ userId, digest })))
  if (items.length === 0) return
  await sql.query(
    `with locked as (
       select i.user_id, i.item_digest from rejected_items i
       join unnest($1::bigint[], $2::text[]) as r (user_id, digest)
         on i.user_id = r.user_id and i.item_digest = r.digest
       order by 1, 2 for update of i
     )
     delete from rejected_items i using locked l where i.user_id = l.user_id and i.item_digest = l.item_digest`,
    [items.map((i) => i.userId), items.map((i) => i.digest)],
  )
}

export function rejectedKey(userId: string, digest: string): string {
  return `${userId} ${digest}`
}
