import type { Admin } from '../../lib/kafka/admin.ts'
import { readEvents } from '../events/read.ts'
import type { Event, EventReport } from '../events/report.ts'
import { OperatorFault } from '../fault.ts'
import type { Broker, Operator } from '../operator.ts'
import { longestSilence, toCauses, toEpisodes } from './cause.ts'
import { isUser, readClosingPages, readGaps } from './gap-store.ts'
import type { GapsOfUserReport } from './report.ts'

/** At most this many gaps, the newest ones. */
const shownMax = 20

/**
 * The newest gaps of a user, why plays were lost in each, and which pages closed it.
 *
 * @param user an id or a Spotify id
 * @throws OperatorFault when neither the user nor a gap of theirs exists
 */
export async function explainGaps(
  operator: Operator,
  user: string,
  { signal }: { signal: AbortSignal },
): Promise<GapsOfUserReport> {
  const sql = await operator.postgres()
  const gaps = await readGaps(sql, { user, open: false, limit: shownMax })
  if (gaps.length === 0) {
    if (await isUser(sql, user)) return []
    throw new OperatorFault(`There is no user "${user}"`, 'songswap users list shows them all.')
  }
  const broker = await operator.broker()
  const since = Math.min(...gaps.map((g) => g.after.getTime()))
  const episodes = toEpisodes(await collectEvents(broker, since, signal))
  const explained: GapsOfUserReport = []
  for (const gap of gaps) {
    const [from, to] = [gap.after.getTime(), gap.detectedAt.getTime()]
    const silence = await readSilence(broker, { from, to })
    explained.push({
      ...gap,
      why: toCauses({ userId: gap.userId, from, to, episodes, silence }),
      closedBy: gap.closedAt ? await readClosingPages(sql, gap) : [],
    })
  }
  return explained
}

/** A pause may have begun before the gap did. */
const dayMs = 86_400_000
const lookBackMs = dayMs

async function collectEvents(broker: Broker, since: number, signal: AbortSignal): Promise<Event[]> {
  const events: Event[] = []
  const onEvent = (report: EventReport) => {
    if (!('undecoded' in report)) events.push(report)
  }
  await readEvents(broker, { since: new Date(since - lookBackMs) }, { signal, onEvent })
  return events
}

const points = 24

/** Compares the topic's offsets at 25 moments spread over the gap, so the answer is as coarse as their distance. */
async function readSilence({ admin, topology }: Broker, gap: { from: number; to: number }) {
  const { name, retentionDays } = topology.recentlyPlayed
  // Records that the topic has forgotten would look like silence.
  const { to } = gap
  const from = Math.max(gap.from, Date.now() - (retentionDays ?? 0) * dayMs)
  if (to <= from || (await admin.readEnds(name)) === null) return null
  const at = Array.from({ length: points + 1 }, (_, i) => Math.round(from + ((to - from) * i) / points))
  const records = await Promise.all(at.map((ms) => countBefore(admin, name, ms)))
  return longestSilence(at.map((ms, i) => ({ at: ms, records: records[i] ?? 0 })))
}

async function countBefore(admin: Admin, topic: string, ms: number): Promise<number> {
  const offsets = await admin.readOffsetsAt(topic, ms)
  return [...offsets.values()].reduce((sum, offset) => sum + offset, 0)
}
