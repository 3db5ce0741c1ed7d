import type { Postgres } from '../../lib/postgres.ts'
import { OperatorFault } from '../fault.ts'
import type { Operator } from '../operator.ts'
import { findOwner } from './find.ts'
import type { PlayLine, PlayRow } from './play-line.ts'
import { toPlayLine } from './play-line.ts'

/**
 * Reads a user's plays, oldest first, in portions; `total` is their number at the beginning.
 *
 * @param user an id or a Spotify id
 * @throws OperatorFault when neither the user nor a play of theirs exists
 */
export async function exportPlays(
  operator: Operator,
  user: string,
): Promise<{ total: number; portions: AsyncIterable<PlayLine[]> }> {
  const sql = await operator.postgres()
  const { id, spotifyId } = await findOwner(sql, user)
  const { rows } = await sql.query<{ n: number }>('select count(*)::int as n from plays where user_id = $1', [
    id,
  ])
  const total = rows[0]?.n ?? 0
  if (total === 0 && spotifyId === null) {
    throw new OperatorFault(`There is no user ${id}, nor plays of theirs`, 'songswap users list shows them.')
  }
  return { total, portions: readPlays(sql, id) }
}

const rowsAtATime = 2_000

/** In the order of their time, so the plays that arrive at the end meanwhile are included. */
async function* readPlays(sql: Postgres, userId: number): AsyncGenerator<PlayLine[]> {
  let after: { playedAt: Date; trackId: string } = { playedAt: new Date(0), trackId: '' }
  for (;;) {
    const { rows } = await sql.query<PlayRow>(playsSql, [userId, after.playedAt, after.trackId, rowsAtATime])
    const last = rows.at(-1)
    if (!last) return
    yield rows.map(toPlayLine)
    after = last
  }
}

const playsSql = `
  select p.user_id::text as "userId", p.played_at as "playedAt", p.track_id as "trackId",
    p.context_type as "contextType", p.context_uri as "contextUri", p.source,
    p.page_partition as partition, p.page_offset as "offset", p.page_timestamp as "timestamp",
    p.page_incarnation as incarnation, p.ingested_at as "ingestedAt",
    t.fetched_at as "fetchedAt", t.name, t.duration_ms as "durationMs", t.explicit, t.isrc,
    case when a.id is not null then json_strip_nulls(json_build_object('id', a.id, 'name', a.name,
      'album_type', a.album_type, 'release_date', a.release_date, 'images', a.images)) end as album,
    (select json_agg(json_build_object('id', ar.id, 'name', ar.name) order by ta.position)
      from track_artists ta join artists ar on ar.id = ta.artist_id where ta.track_id = p.track_id) as artists
  from plays p
  left join tracks t on t.id = p.track_id
  left join albums a on a.id = t.album_id
  where p.user_id = $1 and (p.played_at, p.track_id) > ($2, $3)
  order by p.played_at, p.track_id
  limit $4`
