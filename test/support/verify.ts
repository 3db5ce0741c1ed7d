import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { S3 } from '../../lib/s3.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import type { Truth } from '../../simulators/spotify/truth.ts'
import { presentRows, readWholeArchive } from './archive.ts'
import type { Stream } from './kafka.ts'

/**
 * The offline checker: compares the simulator's deliveries with the topics, Postgres and the archive. It parses
 * pages itself and shares no code with the loader. Every `…Faults` function returns the violations of one
 * invariant, and an empty list if it holds.
 */

/** The part of a stream that the checker needs. */
export type Readable = Pick<Stream, 'topology' | 'codec' | 'readTopic'>

/** One item of a published page, read by the checker's own rules. */
interface CheckedItem {
  /** `user played_at track`, or null if it is not a play (no track, no time, an impossible time). */
  play: string | null
}

/** A page in the topic. */
export interface PublishedPage {
  user: string
  partition: number
  offset: number
  fetchedAt: number
  body: Buffer
  items: CheckedItem[]
  /** Time of its newest play, ISO 8601, or null without plays. */
  newestPlay: string | null
}

const dayMs = 86_400_000

/** All pages of the topic, in offset order per partition. Other records are accounted for elsewhere. */
export async function readPublishedPages(stream: Readable): Promise<PublishedPage[]> {
  const records = await stream.readTopic(stream.topology.recentlyPlayed.name)
  const pages = await Promise.all(records.map((record) => toPublishedPage(stream, record)))
  return pages.filter((page) => page !== null)
}

async function toPublishedPage(stream: Readable, record: RawRecord): Promise<PublishedPage | null> {
  const decoded = await stream.codec.decode<SpotifyResponse>(record.bytes)
  if (decoded.type !== 'value') return null
  const { body, fetchedAt } = decoded.value
  const user = String(record.key)
  const page = JSON.parse(body.toString('utf8')) as { items: PageItem[] }
  const items = page.items.map((item) => ({ play: playOf(user, item, fetchedAt) }))
  const times = items.flatMap((i) => i.play?.split(' ')[1] ?? [])
  const newestPlay = times.toSorted().at(-1) ?? null
  return { user, partition: record.partition, offset: record.offset, fetchedAt, body, items, newestPlay }
}

interface PageItem {
  played_at?: string
  track: { id: string | null; uri: string } | null
}

function playOf(user: string, item: PageItem, fetchedAt: number): string | null {
  const playedAt = Date.parse(item.played_at ?? '')
  if (!item.track || Number.isNaN(playedAt) || playedAt > fetchedAt + dayMs) return null
  return `${user} ${new Date(playedAt).toISOString()} ${item.track.id ?? item.track.uri}`
}

/** Every play in Postgres, as `user played_at track`. */
export async function readStoredPlays(postgres: Postgres): Promise<Set<string>> {
  const { rows } = await postgres.query<{ user_id: number; played_at: Date; track_id: string }>(
    'select user_id, played_at, track_id from plays',
  )
  return new Set(rows.map((r) => `${r.user_id} ${r.played_at.toISOString()} ${r.track_id}`))
}

/** No published page is lost and none invented: the plays of all pages are the plays in Postgres. */
export function playFaults(pages: PublishedPage[], stored: Set<string>): string[] {
  const published = new Set(pages.flatMap((p) => p.items.flatMap((i) => i.play ?? [])))
  return differences(published, stored, 'in the topic', 'in Postgres')
}

/** The plays that the simulator delivered are the plays in the topic. */
export function deliveryFaults(sim: Delivering, users: readonly number[], pages: PublishedPage[]): string[] {
  const published = new Set(pages.flatMap((p) => p.items.flatMap((i) => i.play ?? [])))
  return differences(deliveredPlays(sim, users), published, 'delivered', 'in the topic')
}

/** The plays that the simulator delivered are the plays in Postgres, even if the topic has lost pages. */
export function undeliveredFaults(sim: Delivering, users: readonly number[], stored: Set<string>): string[] {
  return differences(deliveredPlays(sim, users), stored, 'delivered', 'in Postgres')
}

type Delivering = { truth: Pick<Truth, 'delivered'> }

function deliveredPlays(sim: Delivering, users: readonly number[]): Set<string> {
  const delivered = new Set<string>()
  for (const [listener, user] of users.entries()) {
    for (const { playedAt, trackId, trackUri, deliveredAt } of sim.truth.delivered(listener)) {
      const track = trackId ?? trackUri
      const item = { track: track === null ? null : { id: trackId, uri: trackUri ?? '' } }
      const play = playOf(
        String(user),
        { ...item, ...(playedAt !== null && { played_at: playedAt }) },
        deliveredAt,
      )
      if (play) delivered.add(play)
    }
  }
  return delivered
}

/** Every page in the topic equals one that the simulator sent, byte for byte. */
export function bodyFaults(sim: SpotifySimulator, pages: PublishedPage[]): string[] {
  const sent = new Set(sim.truth.pages().map((p) => p.body.toString('latin1')))
  return pages
    .filter((p) => !sent.has(p.body.toString('latin1')))
    .map((p) => `the page at ${p.partition}/${p.offset} was never sent`)
}

/**
 * The pages of a user are in one partition, in the order of their age.
 *
 * @param by `fetchedAt` if clocks are right; `newestPlay` if the suite steps them and no play is odd
 */
export function orderFaults(pages: PublishedPage[], by: 'fetchedAt' | 'newestPlay'): string[] {
  const faults: string[] = []
  for (const [user, own] of Map.groupBy(pages, (p) => p.user)) {
    if (new Set(own.map((p) => p.partition)).size > 1) faults.push(`user ${user} is in several partitions`)
    const ordered = own.filter((p) => p[by] !== null).toSorted((a, b) => a.offset - b.offset)
    for (const [i, page] of ordered.entries()) {
      const before = ordered[i - 1]?.[by] ?? null
      const own = page[by]
      if (before !== null && own !== null && before > own) {
        faults.push(`user ${user}: offset ${page.offset} is older than the one before`)
      }
    }
  }
  return faults
}

/**
 * The archive has every record of the topic once, with the same body (of an undecodable record: the same bytes).
 */
export async function archiveFaults(
  stream: Readable,
  archive: { s3: S3; prefix: string },
  topic: string,
): Promise<string[]> {
  const faults: string[] = []
  const records = await stream.readTopic(topic)
  const archived = presentRows(
    (await readWholeArchive(archive.s3, archive.prefix)).filter((o) => o.topic === topic),
  )
  for (const [partition, expected] of Map.groupBy(records, (r) => r.partition)) {
    const rows = archived.get(`${topic}/${partition}`) ?? []
    const byOffset = new Map(rows.map((r) => [r.offset, r]))
    if (byOffset.size !== rows.length) faults.push(`${topic}/${partition}: an offset is archived twice`)
    for (const record of expected) {
      const row = byOffset.get(record.offset)
      if (!row) {
        faults.push(`${topic}/${partition}: offset ${record.offset} is not archived`)
        continue
      }
      const original = await stream.codec.decode<SpotifyResponse>(record.bytes)
      const body = original.type === 'value' ? original.value.body : record.bytes
      const kept = original.type === 'value' ? (row.value as SpotifyResponse | null)?.body : row.raw
      if (!body || !kept || !Buffer.from(kept).equals(body))
        faults.push(`${topic}/${partition}: offset ${record.offset} differs`)
    }
  }
  return faults
}

function differences(a: Set<string>, b: Set<string>, inA: string, inB: string): string[] {
  return [
    ...[...a.difference(b)].map((x) => `${x}: ${inA}, not ${inB}`),
    ...[...b.difference(a)].map((x) => `${x}: ${inB}, not ${inA}`),
  ]
}
