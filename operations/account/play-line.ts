import { z } from 'zod'

/**
 * A line of an export: one play, what is known of its track under Spotify's own names, and the page that showed it
 * first. `songswap restore --from-file` reads it back.
 */
export const playLine = z.object({
  userId: z.string().regex(/^[1-9]\d{0,17}$/, 'is no user id'),
  playedAt: z.iso.datetime(),
  track: z.record(z.string(), z.unknown()),
  /** When the facts of the track were fetched, or null if only its id is known; absent in older exports. */
  fetchedAt: z.iso.datetime().nullable().optional(),
  context: z.object({ type: z.string().nullable(), uri: z.string().nullable() }).nullable(),
  source: z.string(),
  page: z.object({
    partition: z.int().min(0),
    offset: z.int().min(0),
    /** When its record was made; absent if unknown. */
    timestamp: z.iso.datetime().optional(),
    /** Of the partition's log; absent for the first one. */
    incarnation: z.int().min(1).optional(),
  }),
  ingestedAt: z.iso.datetime(),
})

export type PlayLine = z.infer<typeof playLine>

/** Reads a line, or says why it is not a play. */
export function parsePlayLine(
  text: string,
): { type: 'play'; play: PlayLine } | { type: 'fault'; reason: string } {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return { type: 'fault', reason: 'is no JSON' }
  }
  const parsed = playLine.safeParse(json)
  if (parsed.success) return { type: 'play', play: parsed.data }
  const [issue] = parsed.error.issues
  return { type: 'fault', reason: `${issue?.path.join('.') || 'the line'}: ${issue?.message}` }
}

/**
 * `page_incarnation` of a row that was loaded from a file: the log that the line names, as a number below 0. Such a row
 * belongs to no page of this installation: it may come from another user or another installation.
 */
export function toFileLog(incarnation = 0): number {
  return ~incarnation
}

function logOf(incarnation: number): number {
  return incarnation < 0 ? ~incarnation : incarnation
}

/** A play as the tables hold it. */
export interface PlayRow {
  userId: string
  playedAt: Date
  trackId: string
  contextType: string | null
  contextUri: string | null
  source: string
  partition: number
  offset: number
  timestamp: Date | null
  incarnation: number
  ingestedAt: Date
  /** Null if the track has no row; the epoch if only its id is known. */
  fetchedAt: Date | null
  name: string | null
  durationMs: number | null
  explicit: boolean | null
  isrc: string | null
  album: Record<string, unknown> | null
  artists: { id: string; name: string }[] | null
}

export function toPlayLine(row: PlayRow): PlayLine {
  const isLocal = row.trackId.startsWith('spotify:')
  const context =
    row.contextType === null && row.contextUri === null
      ? null
      : { type: row.contextType, uri: row.contextUri }
  return {
    userId: row.userId,
    playedAt: row.playedAt.toISOString(),
    track: {
      id: isLocal ? null : row.trackId,
      uri: isLocal ? row.trackId : `spotify:track:${row.trackId}`,
      type: 'track',
      name: row.name ?? '',
      ...(row.durationMs !== null && { duration_ms: row.durationMs }),
      ...(row.explicit !== null && { explicit: row.explicit }),
      ...(row.isrc !== null && { external_ids: { isrc: row.isrc } }),
      ...(row.album && { album: row.album }),
      artists: row.artists ?? [],
    },
    fetchedAt: row.fetchedAt && row.fetchedAt.getTime() > 0 ? row.fetchedAt.toISOString() : null,
    context,
    source: row.source,
    page: {
      ...{ partition: row.partition, offset: row.offset },
      ...(row.timestamp && { timestamp: row.timestamp.toISOString() }),
      ...(logOf(row.incarnation) > 0 && { incarnation: logOf(row.incarnation) }),
    },
    ingestedAt: row.ingestedAt.toISOString(),
  }
}
