import type { Sql } from '../../lib/postgres.ts'
import { toArray } from '../../lib/postgres.ts'
import type { Shown, Window } from './windows.ts'
import { isPlay } from './windows.ts'

/** A moment of a user's time, with the id of an item shown at it. */
export interface Moment {
  userId: string
  /** Unix time in milliseconds. */
  at: number
  id: string
}

type StoredWindow = [oldest: number, newest: number, edges: string[][]]

/**
 * Reads the windows of users, and locks them until the transaction ends.
 *
 * @param userIds each once, sorted as numbers, so that all loaders lock in the same order
 * @returns the windows, and in `played` the users whose windows are not stored yet but derived from plays
 */
export async function lockWindows(
  sql: Sql,
  userIds: readonly string[],
): Promise<{ windows: Map<string, readonly Window[]>; played: ReadonlySet<string> }> {
  // On a conflict Postgres locks the existing row but does not write it.
  const { rows: added } = await sql.query<{ user_id: string }>({
    name: 'loader_windows_lock',
    text: `
      insert into shown_windows as w (user_id, windows)
      select user_id, '[]' from unnest($1::bigint[]) as u (user_id) order by user_id
      on conflict (user_id) do update set windows = w.windows where false
      returning user_id::text`,
    values: [toArray(userIds)],
  })
  const { rows } = await sql.query<{ user_id: string; windows: StoredWindow[]; has_plays: boolean }>({
    name: 'loader_windows_read',
    text: `
      select user_id::text, windows, exists (select from plays p where p.user_id = w.user_id) as has_plays
      from shown_windows w where user_id = any ($1::bigint[])`,
    values: [toArray(userIds)],
  })
  const windows = new Map<string, readonly Window[]>(
    rows.map((row) => [row.user_id, isGone(row) ? [] : row.windows.map(toWindow)]),
  )
  const played = await readPlayed(sql, added)
  for (const [userId, of] of played) windows.set(userId, of)
  return { windows, played: new Set(played.keys()) }
}

/** Whether the windows mention plays although all plays of the user were deleted. */
function isGone({ windows, has_plays }: { windows: readonly StoredWindow[]; has_plays: boolean }): boolean {
  return !has_plays && windows.some(([, , edges]) => edges.flat().some(isPlay))
}

const toWindow = ([oldest, newest, edges]: StoredWindow): Window => ({ oldest, newest, edges })

/**
 * Derives the windows of users whose plays are older than the table of windows, or were restored from an export. One
 * ends with the newest play, and one before each open gap; overlapping gaps count as one. Plays of imports, and those
 * ahead of their time, do not show what Spotify showed.
 */
async function readPlayed(
  sql: Sql,
  users: readonly { user_id: string }[],
): Promise<Map<string, readonly Window[]>> {
  if (users.length === 0) return new Map()
  const { rows } = await sql.query<{
    user_id: string
    oldest: Date
    at: Date
    before: Date | null
    ids: string[]
  }>({
    name: 'loader_windows_played',
    text: `
      with newest as (
        select u.user_id, n.at
        from unnest($1::bigint[]) as u (user_id)
        cross join lateral (
          select played_at as at from plays p
          where p.user_id = u.user_id and source <> 'import' and played_at <= ingested_at
          order by played_at desc limit 1
        ) n
      ), ends as (
        select user_id, at, null::timestamptz as before from newest
        union all
        select user_id, lower(gap), upper(gap) from (
          select user_id, unnest(range_agg(tstzrange(g.after, g.before, '()'))) as gap
          from gaps g join newest n using (user_id)
          where g.closed_at is null and g.after < n.at group by 1
        ) merged
      )
      select e.user_id::text, e.at, e.before,
        (select min(played_at) from plays p where p.user_id = e.user_id) as oldest,
        array(select track_id from plays p where p.user_id = e.user_id and p.played_at = e.at order by 1) as ids
      from ends e order by e.user_id, e.at`,
    values: [toArray(users.map((u) => u.user_id))],
  })
  const windows = new Map<string, Window[]>()
  for (const [i, { user_id, oldest, at, ids }] of rows.entries()) {
    const last = rows[i - 1]
    const from = last?.user_id === user_id ? (last.before ?? oldest) : oldest
    const newest = at.getTime()
    const all = windows.get(user_id) ?? []
    windows.set(user_id, [...all, { oldest: Math.min(from.getTime(), newest), newest, edges: [ids] }])
  }
  return windows
}

export async function writeWindows(
  sql: Sql,
  windows: readonly (readonly [userId: string, windows: readonly Window[]])[],
): Promise<void> {
  if (windows.length === 0) return
  await sql.query({
    name: 'loader_windows_write',
    text: `
      update shown_windows w set windows = r.windows
      from unnest($1::bigint[], $2::jsonb[]) as r (user_id, windows) where w.user_id = r.user_id`,
    values: [
      toArray(windows.map(([userId]) => userId)),
      toArray(windows.map(([, of]) => JSON.stringify(of.map((w) => [w.oldest, w.newest, w.edges])))),
    ],
  })
}

/** What is stored about a moment. */
export interface KnownMoment {
  /** Whether a page has shown the item. */
  isKnown: boolean
  /** Whether a page has shown any item of the moment. */
  isMoment: boolean
  /** Time of the first item after the moment; Unix ms. */
  next: number | null
}

/** Reads what is stored about moments, in their order. */
export async function readMoments(
  sql: Sql,
  moments: readonly (Moment & Pick<Shown, 'trackId'>)[],
): Promise<KnownMoment[]> {
  if (moments.length === 0) return []
  const { rows } = await sql.query<{ is_known: boolean; is_moment: boolean; next: Date | null }>({
    name: 'loader_moments',
    text: `
      select
        exists (select from plays p where p.user_id = m.user_id and p.played_at = m.at and p.track_id = m.track_id)
          or exists (select from shown_items s where s.user_id = m.user_id and s.at = m.at and s.item = m.id)
          as is_known,
        exists (select from plays p where p.user_id = m.user_id and p.played_at = m.at and p.source <> 'import')
          or exists (select from shown_items s where s.user_id = m.user_id and s.at = m.at)
          as is_moment,
        least(
          (select min(played_at) from plays p where p.user_id = m.user_id and p.played_at > m.at),
          (select min(s.at) from shown_items s where s.user_id = m.user_id and s.at > m.at)
        ) as next
      from (
        select user_id, to_timestamp(at / 1000)::timestamptz(3) as at, id, track_id, ordinal
        from unnest($1::bigint[], $2::float8[], $3::text[], $4::text[]) with ordinality
          as r (user_id, at, id, track_id, ordinal)
      ) m order by ordinal`,
    values: [
      toArray(moments.map((m) => m.userId)),
      toArray(moments.map((m) => m.at)),
      toArray(moments.map((m) => m.id)),
      toArray(moments.map((m) => m.trackId ?? null)),
    ],
  })
  return rows.map((row) => ({
    ...{ isKnown: row.is_known, isMoment: row.is_moment },
    next: row.next?.getTime() ?? null,
  }))
}

/** Stores items that pages showed and that are not plays. */
export async function insertShownItems(sql: Sql, items: readonly Moment[]): Promise<void> {
  if (items.length === 0) return
  await sql.query({
    name: 'loader_shown_items',
    text: `
      insert into shown_items (user_id, at, item)
      select distinct user_id, to_timestamp(at / 1000)::timestamptz(3), item
      from unnest($1::bigint[], $2::float8[], $3::text[]) as r (user_id, at, item)
      order by 1, 2, 3
      on conflict do nothing`,
    values: [
      toArray(items.map((i) => i.userId)),
      toArray(items.map((i) => i.at)),
      toArray(items.map((i) => i.id)),
    ],
  })
}
