import type { Sql } from '../../lib/postgres.ts'
import type { GapNews } from './gap-notice.ts'
import type { GapRow } from './gap-rows.ts'

/** Open gaps of users. */
export async function readOpenGaps(sql: Sql, userIds: readonly string[]): Promise<GapRow[]> {
  if (userIds.length === 0) return []
  const { rows } = await sql.query<{
    id: number
    user_id: string
    after: Date
    before: Date
    awaits_page: boolean
    quiet: boolean
  }>({
    name: 'loader_gaps_open',
    text: `
      select id, user_id::text, after, before, awaits_page, quiet from gaps
      where user_id = any ($1::bigint[]) and closed_at is null order by id`,
    values: [userIds],
  })
  return rows.map(({ id, user_id, after, before, awaits_page, quiet }) => ({
    ...{ userId: user_id, id, after: after.getTime(), before: before.getTime() },
    ...{ awaitsPage: awaits_page, isDue: false, quiet, part: null, closedBy: null, isChanged: false },
  }))
}

/** The rows as a list for each column, for `unnest`. */
function toColumns(rows: readonly GapRow[]): unknown[] {
  return [
    rows.map((g) => g.after),
    rows.map((g) => g.before),
    rows.map((g) => g.awaitsPage),
    rows.map((g) => g.closedBy?.source ?? null),
    rows.map((g) => g.closedBy?.partition ?? null),
    rows.map((g) => g.closedBy?.offset ?? null),
  ]
}

/** Updates gaps. One that closes before its alert was due, or that is quiet, closes without an event. */
export async function updateGaps(sql: Sql, rows: readonly GapRow[]): Promise<void> {
  const stored = rows.filter((row) => row.id !== null)
  if (stored.length === 0) return
  await sql.query({
    name: 'loader_gaps_update',
    text: `
      with locked as (select id from gaps where id = any ($1::bigint[]) order by id for update)
      update gaps g set
        after = to_timestamp(r.after / 1000), before = to_timestamp(r.before / 1000), awaits_page = r.awaits_page,
        closed_at = coalesce(g.closed_at, case when r.partition is not null then now() end),
        closed_by_source = coalesce(g.closed_by_source, r.source),
        closed_by_partition = coalesce(g.closed_by_partition, r.partition),
        closed_by_offset = coalesce(g.closed_by_offset, r.page_offset),
        opening_told_at = coalesce(g.opening_told_at, case when r.partition is not null and g.awaits_page then now() end),
        closing_told_at = coalesce(g.closing_told_at,
          case when r.partition is not null and (g.quiet or g.awaits_page) then now() end)
      from locked, unnest($1::bigint[], $2::float8[], $3::float8[], $4::boolean[], $5::text[], $6::int[], $7::bigint[])
        as r (id, after, before, awaits_page, source, partition, page_offset)
      where g.id = r.id and locked.id = g.id`,
    values: [stored.map((g) => g.id), ...toColumns(stored)],
  })
}

/** Inserts gaps. A part of a split gap inherits when that gap was detected and whether its event was published. */
export async function insertGaps(sql: Sql, rows: readonly GapRow[]): Promise<void> {
  if (rows.length === 0) return
  await sql.query({
    name: 'loader_gaps_insert',
    text: `
      insert into gaps (user_id, after, before, awaits_page, closed_by_source, closed_by_partition, closed_by_offset,
        quiet, detected_at, closed_at, opening_told_at, closing_told_at)
      select r.user_id, to_timestamp(r.after / 1000), to_timestamp(r.before / 1000), r.awaits_page, r.source,
        r.partition, r.page_offset, r.quiet, coalesce(p.detected_at, now()),
        case when r.partition is not null then now() end,
        case when r.quiet or r.partition is not null then now() else p.opening_told_at end,
        case when r.partition is not null then now() end
      from unnest($2::float8[], $3::float8[], $4::boolean[], $5::text[], $6::int[], $7::bigint[], $1::bigint[],
          $8::boolean[], $9::bigint[]) with ordinality
        as r (after, before, awaits_page, source, partition, page_offset, user_id, quiet, part, ordinal)
      left join gaps p on p.id = r.part
      order by r.ordinal`,
    values: [
      rows.map((g) => g.userId),
      ...toColumns(rows),
      rows.map((g) => g.quiet),
      rows.map((g) => g.part?.id ?? null),
    ],
  })
}

/** Gaps that opened or closed without an event yet, oldest first. */
export async function readGapNews(sql: Sql, limit: number): Promise<GapNews[]> {
  const { rows } = await sql.query<GapNews>({
    name: 'loader_gap_news',
    text: `
      select g.id, g.user_id::text as "userId", g.after, g.before, g.closed_at is not null as closed,
        exists (
          select from gaps o where o.user_id = g.user_id and o.closed_at is null and not o.awaits_page and not o.quiet
        ) as "othersOpen"
      from gaps g
      where (opening_told_at is null and not awaits_page) or (closed_at is not null and closing_told_at is null)
      order by g.id limit $1`,
    values: [limit],
  })
  return rows
}

/** Notes that the events are published. A gap that closed in between needs another event. */
export async function markGapNews(sql: Sql, news: readonly GapNews[]): Promise<void> {
  await sql.query({
    name: 'loader_gaps_told',
    text: `
      with locked as (select id from gaps where id = any ($1::bigint[]) order by id for update)
      update gaps g set opening_told_at = coalesce(opening_told_at, now()),
        closing_told_at = case when closed_at is not null and g.id = any ($2::bigint[]) then now()
          else closing_told_at end
      from locked where g.id = locked.id`,
    values: [news.map((n) => n.id), news.filter((n) => n.closed).map((n) => n.id)],
  })
}
