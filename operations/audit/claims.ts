import { sift } from '../../lib/kafka/handler-sink.ts'
import type { DecodedRecord, ValueRecord } from '../../lib/kafka/record.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { toItem } from '../../services/loader/item.ts'
import type { Page } from '../../services/loader/page.ts'
import { plainReader } from '../../services/loader/page-reader.ts'
import { toHistory } from '../../services/loader/transform.ts'
import type { Claims, PageClaim, PlayClaim } from './account.ts'
import { toPlace } from './account.ts'

/** What the loader knows in addition to the record. */
interface LoaderState {
  group: string
  erased: ReadonlySet<string>
  logs: ReadonlyMap<number, number>
  sureTime: number
}

/**
 * The outcome that a record must have had, by the loader's own pure rules; only the number of items is counted without
 * them.
 *
 * @param loader.group ignores records that were redriven to another group
 * @param loader.erased users whose plays are not stored
 * @param loader.logs the present log of each partition; 0 for a partition that is absent
 * @param loader.sureTime a time that has surely come (Unix ms): a play before it is not in the future, even if the
 * clock that fetched its page was behind
 */
export function toClaims(
  record: DecodedRecord<SpotifyResponse>,
  { group, erased, logs, sureTime }: LoaderState,
): Claims {
  const { values, deadLetters } = sift([record], group)
  const history = toHistory(values, { reader: plainReader(sureTime), erased })
  const isDead = deadLetters.length + history.deadLetters.length > 0
  const [page] = history.pages
  return {
    place: toPlace(record),
    page: page ? toPageClaim(page.page, record, logs) : null,
    items: isDead ? 0 : values.reduce((n, value) => n + itemsOf(value).length, 0),
    plays: history.plays.map(({ userId, playedAt, trackId }) => ({ userId, playedAt, trackId })),
    rejects: history.rejected.map(({ userId, digest }) => ({ userId, digest })),
    repeats: history.counts.plays - history.plays.length,
    dropped: history.counts.dropped,
    isDead,
  }
}

function toPageClaim(
  page: Page,
  record: DecodedRecord<SpotifyResponse>,
  logs: LoaderState['logs'],
): PageClaim {
  const { userId, partition, offset } = page
  const incarnation = page.incarnation ?? logs.get(partition) ?? 0
  return { userId, partition, offset, timestamp: page.timestamp ?? record.timestamp, incarnation }
}

/** The items of a page's body, unchecked; empty if it is not a page. */
function itemsOf({ value }: ValueRecord<SpotifyResponse>): unknown[] {
  try {
    const { items } = JSON.parse(value.body.toString('utf8')) as { items?: unknown }
    return Array.isArray(items) ? items : []
  } catch {
    return []
  }
}

/**
 * The digests under which the loader rejects this play when it judges by the page's own `fetchedAt`: the clock that
 * fetched the page may have been behind. Items of other pages do not count.
 */
export function digestsOf(
  record: DecodedRecord<SpotifyResponse>,
  { playedAt, trackId }: PlayClaim,
): string[] {
  if (record.decoded.type !== 'value') return []
  const { value } = record.decoded
  return itemsOf({ ...record, value }).flatMap((raw) => {
    const item = toItem(raw, playedAt)
    const isIt = item.type === 'play' && item.playedAt === playedAt && item.track.id === trackId
    const own = toItem(raw, value.fetchedAt)
    return isIt && own.type === 'rejected' ? own.digest : []
  })
}
