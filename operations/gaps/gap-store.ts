import type { Sql } from '../../lib/postgres.ts'
import type { ClosingPage, Gap } from './report.ts'

/**
 * Gaps, the newest first.
 *
 * @param user an id or a Spotify id, or null for all users
 */
export async function readGaps(
  sql: Sql,
  { user, open, limit }: { user: string | null; open: boolean; limit: number },
): Promise<Gap[]> {
  const { rows } = await sql.query<Gap>(
    `select g.user_id as "userId", coalesce(u.display_name, u.spotify_id) as name, g.after, g.before,
       g.detected_at as "detectedAt", g.closed_at as "closedAt",
       (select count(*) from plays p
         where p.user_id = g.user_id and p.played_at > g.after and p.played_at < g.before) as plays,
       case when g.closed_by_partition is not null then jsonb_build_object(
         'source', g.closed_by_source, 'partition', g.closed_by_partition, 'offset', g.closed_by_offset
       ) end as "closedByPage"
     from gaps g left join users u on u.id = g.user_id
     where ($1::text is null or g.user_id::text = $1 or u.spotify_id = $1)
       and (not $2::boolean or g.closed_at is null)
     order by g.before desc, g.id desc limit $3`,
    [user, open, limit],
  )
  return rows
}

/** Whether a user has this id or Spotify id. */
export async function isUser(sql: Sql, user: string): Promise<boolean> {
  const { rowCount } = await sql.query('select 1 from users where id::text = $1 or spotify_id = $1', [user])
  return (rowCount ?? 0) > 0
}

/** Pages that closed a gap: the one that connected both sides, and those that added plays to it at the same moment. */
export async function readClosingPages(sql: Sql, gap: Gap): Promise<ClosingPage[]> {
  const pages = await readBringers(sql, gap)
  const closing = gap.closedByPage
  if (!closing || pages.some((p) => p.partition === closing.partition && p.offset === closing.offset))
    return pages
  return [{ ...closing, plays: 0 }, ...pages]
}

/** The loader closes a gap in the transaction that stores the plays, so both have the same time. */
async function readBringers(sql: Sql, gap: Gap): Promise<ClosingPage[]> {
  const { rows } = await sql.query<ClosingPage>(
    `select p.source, p.page_partition as partition, p.page_offset as offset, count(*) as plays
     from plays p join gaps g on g.user_id = p.user_id and g.closed_at = p.ingested_at
       and p.played_at > g.after and p.played_at < g.before
     where g.user_id = $1 and g.after = $2 and g.before = $3
     group by 1, 2, 3 order by 2, 3`,
    [gap.userId, gap.after, gap.before],
  )
  return rows
}
