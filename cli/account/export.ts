import { once } from 'node:events'
import type { Command } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { toCount, toPlural } from '../../lib/words.ts'
import { findOwner } from '../../operations/account/find.ts'
import type { PlayRow } from '../../operations/account/play-line.ts'
import { toPlayLine } from '../../operations/account/play-line.ts'
import { OperatorFault } from '../../operations/fault.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'

export function define(command: Command, run: Run): void {
  command.description(
    "Writes one user's plays to standard output, oldest first, a JSON object on each line: when, what, from where, and all that is known of the track, in Spotify's own names, with the time at which that was fetched.",
  )
  act<object>(command, run, exportPlays)
  examples(command, [
    'songswap account export 7 > plays.ndjson',
    'songswap account export alice | gzip > plays.ndjson.gz',
    'songswap restore --from-file plays.ndjson --execute',
  ])
  notes(command, [
    'songswap restore --from-file reads it back, here or in another installation (--as gives the plays to another user).',
  ])
}

const rowsAtATime = 2_000

async function exportPlays(context: CliContext, _options: object, user = ''): Promise<number> {
  const { out } = context
  const { stdout } = context.terminal
  const sql = await context.operator.postgres()
  const owner = await findOwner(sql, user)
  const { rows } = await sql.query<{ n: number }>('select count(*)::int as n from plays where user_id = $1', [
    owner.id,
  ])
  const total = rows[0]?.n ?? 0
  if (total === 0 && owner.spotifyId === null) {
    throw new OperatorFault(
      `There is no user ${owner.id}, nor plays of theirs`,
      'songswap users list shows them.',
    )
  }
  const signal = context.interruption()
  const progress = context.progress({ total, unit: 'plays' })
  let written = 0
  for await (const portion of readPlays(sql, owner.id)) {
    if (signal.aborted) break
    const text = portion.map((row) => `${JSON.stringify(toPlayLine(row))}\n`).join('')
    if (!stdout.write(text)) await once(stdout, 'drain')
    written += portion.length
    progress.add(portion.length)
  }
  progress.end()
  out.say(
    `${toPlural(written, 'play')} written${signal.aborted ? ` of ${toCount(total)}: interrupted` : ''}.`,
  )
  return signal.aborted ? exitCodes.fault : exitCodes.stopped
}

/** Plays of a user by their time, in portions; what arrives meanwhile at the end is among them. */
async function* readPlays(sql: Postgres, userId: number): AsyncGenerator<PlayRow[]> {
  let after: { playedAt: Date; trackId: string } = { playedAt: new Date(0), trackId: '' }
  for (;;) {
    const { rows } = await sql.query<PlayRow>(playsSql, [userId, after.playedAt, after.trackId, rowsAtATime])
    const last = rows.at(-1)
    if (!last) return
    yield rows
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
