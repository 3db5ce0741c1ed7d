import { sift } from '../../lib/kafka/handler-sink.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { toHistory } from '../../services/loader/transform.ts'
import type { Claims } from './account.ts'

/**
 * What a record must have become, by the loader's own pure rules.
 *
 * @param loader.group records redriven to another one are not its business
 * @param loader.erased users of whom it keeps nothing
 */
export function toClaims(
  record: DecodedRecord<SpotifyResponse>,
  { group, erased }: { group: string; erased: ReadonlySet<string> },
): Claims {
  const place = `${record.partition}/${record.offset}`
  const { values, deadLetters } = sift([record], group)
  const history = toHistory(values, { erased })
  return {
    place,
    plays: history.plays.map((play) => ({
      place,
      userId: play.userId,
      playedAt: play.playedAt,
      trackId: play.trackId,
      page: `${play.partition}/${play.offset}`,
    })),
    rejects: history.rejected.map(({ userId, digest }) => ({
      place,
      userId,
      digest,
      page: toPagePlace(history) ?? place,
    })),
    repeats: history.counts.plays - history.plays.length,
    dropped: history.counts.dropped,
    isDead: deadLetters.length + history.deadLetters.length > 0,
  }
}

function toPagePlace({ pages }: ReturnType<typeof toHistory>): string | null {
  const page = pages[0]?.page
  return page ? `${page.partition}/${page.offset}` : null
}
