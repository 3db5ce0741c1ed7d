import type { Sql } from '../../lib/postgres.ts'
import { insertPlays } from './history-store.ts'
import type { HistoryPage, PlayRow } from './transform.ts'
import { byKey } from './transform.ts'

/** A stored play that names a page which does not claim it. */
export interface UnclaimedPlay {
  userId: string
  playedAt: Date
  trackId: string
  /** `partition/offset` of the page. */
  page: string
}

export function toUnclaimedText({ page, userId, playedAt, trackId }: UnclaimedPlay): string {
  return `${page}: user ${userId} ${playedAt.toISOString()} ${trackId}`
}

/**
 * What happens to plays that their own page does not claim, by {@link playKey}: the row of another page that claims
 * the play, or null if no page does. A play without a verdict stays.
 */
export type Verdicts = ReadonlyMap<string, PlayRow | null>

export function playKey(play: { userId: string; playedAt: Date | number; trackId: string }): string {
  return `${play.userId} ${Number(play.playedAt)} ${play.trackId}`
}

export interface Unclaimed {
  plays: readonly UnclaimedPlay[]
  /**
   * Unclaimed plays that stay: those of a page with rejected items, because such an item may be the stored play, and
   * rows without the time of their page, because another page may have had its place.
   */
  unjudged: number
}

export interface Removal {
  removed: readonly UnclaimedPlay[]
  /** Plays that now belong to another page. */
  kept: number
  unjudged: number
}

export const nothingRemoved: Removal = { removed: [], kept: 0, unjudged: 0 }

/**
 * Rows that name one of the pages by place, log and time, and that none of its items claims. In another log another
 * page has this place, and rows that were loaded from a file belong to no log. Rows of older versions lack the time
 * of their page: they may belong to this page unless they are older than its record.
 */
const unclaimedSql = `
  page as (
    select * from unnest($1::int[], $2::bigint[], $3::int[], $4::float8[], $5::boolean[])
      as r (partition, "offset", incarnation, at, is_sure)
  ), claim as (
    select * from unnest($6::bigint[], $7::float8[], $8::text[], $9::int[], $10::bigint[])
      as r (user_id, played_at, track_id, partition, "offset")
  ), unclaimed as (
    select p.user_id, p.played_at, p.track_id, p.page_partition, p.page_offset,
      page.is_sure and p.page_timestamp is not null as is_sure
    from plays p join page on p.page_partition = page.partition and p.page_offset = page."offset"
    where p.page_partition = any ($1::int[])
      and p.page_offset between (select min("offset") from page) and (select max("offset") from page)
      and p.page_incarnation = page.incarnation
      and (p.page_timestamp = to_timestamp(page.at / 1000)
        or (p.page_timestamp is null and p.ingested_at >= to_timestamp(page.at / 1000)))
      and not exists (
        select from claim c where c.user_id = p.user_id and c.played_at = extract(epoch from p.played_at) * 1000
          and c.track_id = p.track_id and c.partition = p.page_partition and c."offset" = p.page_offset
      )
  )`

const columns = `
  p.user_id::text as "userId", p.played_at as "playedAt", p.track_id as "trackId",
  p.page_partition || '/' || p.page_offset as page`

/**
 * Removes plays that their own pages no longer claim, or assigns them to the page that does. Plays of records that
 * are not pages stay.
 */
export async function removeUnclaimed(
  sql: Sql,
  all: readonly HistoryPage[],
  verdicts: Verdicts,
): Promise<Removal> {
  const found = await findUnclaimed(sql, all)
  const due = found.plays.filter((play) => verdicts.has(playKey(play)))
  const unjudged = found.unjudged + found.plays.length - due.length
  if (due.length === 0) return { ...nothingRemoved, unjudged }
  const { rows } = await sql.query<UnclaimedPlay>(
    `with ${unclaimedSql}, locked as (
       select p.user_id, p.played_at, p.track_id from plays p join unclaimed u using (user_id, played_at, track_id)
       join unnest($11::bigint[], $12::timestamptz[], $13::text[]) as d (user_id, played_at, track_id)
         using (user_id, played_at, track_id)
       where u.is_sure order by 1, 2, 3 for update of p
     )
     delete from plays p using locked l
     where p.user_id = l.user_id and p.played_at = l.played_at and p.track_id = l.track_id
     returning ${columns}`,
    [
      ...toValues(all.filter(isJudge)),
      due.map(({ userId }) => userId),
      due.map(({ playedAt }) => playedAt),
      due.map(({ trackId }) => trackId),
    ],
  )
  const claimed = rows.flatMap((play) => verdicts.get(playKey(play)) ?? [])
  await insertPlays(sql, claimed.sort(byKey))
  const removed = rows.filter((play) => !verdicts.get(playKey(play)))
  return { removed, kept: claimed.length, unjudged }
}

/** The plays that the pages do not claim. */
export async function findUnclaimed(sql: Sql, all: readonly HistoryPage[]): Promise<Unclaimed> {
  const pages = all.filter(isJudge)
  if (pages.length === 0) return { plays: [], unjudged: 0 }
  const { rows } = await sql.query<UnclaimedPlay & { isSure: boolean }>({
    name: 'loader_unclaimed',
    text: `with ${unclaimedSql} select ${columns}, p.is_sure as "isSure" from unclaimed p order by 1, 2, 3`,
    values: toValues(pages),
  })
  return {
    plays: rows.filter((row) => row.isSure).map(({ isSure: _, ...play }) => play),
    unjudged: rows.filter((row) => !row.isSure).length,
  }
}

/** Whether a page shows all that Spotify showed; one made from stored plays holds only a part. */
function isJudge({ page }: HistoryPage): boolean {
  return page.isWindow
}

function toValues(pages: readonly HistoryPage[]): unknown[] {
  const claims = pages.flatMap(({ page, items }) =>
    items.flatMap((item) =>
      item.type === 'play' ? { page, playedAt: item.playedAt, trackId: item.track.id } : [],
    ),
  )
  return [
    pages.map(({ page }) => page.partition),
    pages.map(({ page }) => page.offset),
    pages.map(({ page }) => page.incarnation ?? 0),
    pages.map(({ page }) => page.timestamp),
    pages.map(({ items }) => items.every(({ type }) => type !== 'rejected')),
    claims.map(({ page }) => page.userId),
    claims.map(({ playedAt }) => playedAt),
    claims.map(({ trackId }) => trackId),
    claims.map(({ page }) => page.partition),
    claims.map(({ page }) => page.offset),
  ]
}
