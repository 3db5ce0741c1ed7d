import type { DecodedRecord } from '../../lib/kafka/record.ts'
import { excerptHeader, restoreHeaders } from '../../lib/kafka/restored.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { PlayLine } from '../account/play-line.ts'
import { toFileLog } from '../account/play-line.ts'

/**
 * Fewer than Spotify's window of 50. Between two plays of a page there may be plays that an earlier page showed first,
 * so these pages also carry the excerpt header: they reveal no gap.
 */
const largestPage = 49

/**
 * Groups neighbouring exported plays into the pages that showed them. The pages contain only the ids of tracks: the
 * facts about tracks have times of their own, see {@link toFacts}.
 */
export function toPages(plays: readonly PlayLine[], topic: string): DecodedRecord<SpotifyResponse>[] {
  const pages: PlayLine[][] = []
  for (const play of plays) {
    const page = pages.at(-1)
    const [first] = page ?? []
    if (page && first && page.length < largestPage && samePage(first, play)) page.push(play)
    else pages.push([play])
  }
  return pages.map((page) => toPage(page, topic))
}

function samePage(a: PlayLine, b: PlayLine): boolean {
  return (
    a.userId === b.userId &&
    a.source === b.source &&
    a.ingestedAt === b.ingestedAt &&
    a.page.partition === b.page.partition &&
    a.page.offset === b.page.offset &&
    a.page.timestamp === b.page.timestamp &&
    a.page.incarnation === b.page.incarnation
  )
}

function toPage(plays: readonly PlayLine[], topic: string): DecodedRecord<SpotifyResponse> {
  const [first] = plays
  if (!first) throw new TypeError('A page has at least one play')
  // The export lacks the time of the fetch; the page was stored right after it.
  const fetchedAt = Date.parse(first.ingestedAt)
  const timestamp = first.page.timestamp === undefined ? null : Date.parse(first.page.timestamp)
  const headers = [{ name: excerptHeader, value: Buffer.from('1') }]
  if (timestamp !== null) {
    headers.push({ name: restoreHeaders.timestamp, value: Buffer.from(String(timestamp)) })
  }
  const items = plays.map(({ track: { id, uri, type }, playedAt, context }) => {
    return { track: { id, uri, type }, played_at: playedAt, context }
  })
  const value: SpotifyResponse = {
    endpoint: 'recently-played',
    subject: first.userId,
    source: first.source,
    fetchedAt,
    status: 200,
    body: Buffer.from(JSON.stringify({ items })),
  }
  return {
    ...{
      topic,
      ...{ partition: first.page.partition, offset: first.page.offset },
      incarnation: toFileLog(first.page.incarnation),
      timestamp: timestamp ?? fetchedAt,
      key: Buffer.from(first.userId),
      headers,
      bytes: null,
    },
    decoded: { type: 'value', value, writer: null },
  }
}
