import { createHash } from 'node:crypto'
import type { PageItem } from './page.ts'

/**
 * How much the simulator remembers of delivered plays: those of a page whose 200 answer was sent completely.
 * `full` remembers every play. `count` remembers their number and the newest few times of each listener, to
 * recognise repeated plays; it serves loads of tens of thousands of listeners.
 */
export type TruthDepth = 'full' | 'count'

/** At depth `count`: more than a window, so that late plays do not make old ones count again. */
const rememberedPlays = 64

interface DeliveredPlay {
  listener: number
  /** The item's own `played_at`, or null if it had none. */
  playedAt: string | null
  trackId: string | null
  trackUri: string | null
  oddity: PageItem['oddity']
  /** Unix ms of the first delivery. */
  deliveredAt: number
  /** Number of delivered pages that showed the play. */
  times: number
}

interface DeliveredPage {
  listener: number
  at: number
  items: number
  sha256: string
  body: Buffer
}

interface TruthCounts {
  pages: number
  /** Items in delivered pages, each as often as it was delivered. */
  items: number
  /** Different plays. */
  plays: number
}

export interface Truth {
  deliver(page: { listener: number; at: number; items: readonly PageItem[]; body: Buffer }): void
  /** Empty at depth `count`. */
  delivered(listener?: number): DeliveredPlay[]
  /** The last `keepPages` pages, oldest first. */
  pages(): readonly DeliveredPage[]
  counts(): TruthCounts
}

export function createTruth(options: { depth: TruthDepth; keepPages: number }): Truth {
  const plays = new Map<number, Map<string, DeliveredPlay>>()
  const newest = new Map<number, Float64Array>()
  const counts: TruthCounts = { pages: 0, items: 0, plays: 0 }
  const pages: DeliveredPage[] = []

  const remember = (
    known: Map<string, DeliveredPlay>,
    item: PageItem,
    where: { listener: number; at: number },
  ) => {
    const key = toPlayKey(item)
    const play = known.get(key)
    if (play) play.times += 1
    else known.set(key, toDeliveredPlay(item, where))
    return play === undefined
  }
  return {
    deliver({ listener, at, items, body }) {
      counts.pages += 1
      counts.items += items.length
      if (options.depth === 'full') {
        const known = plays.get(listener) ?? new Map<string, DeliveredPlay>()
        plays.set(listener, known)
        for (const item of items) if (remember(known, item, { listener, at })) counts.plays += 1
      } else {
        const known = newest.get(listener) ?? new Float64Array()
        const fresh = items.map(({ at }) => at).filter((at) => !known.includes(at))
        counts.plays += fresh.length
        if (fresh.length > 0) newest.set(listener, toNewest(known, fresh))
      }
      if (options.keepPages > 0) {
        const sha256 = createHash('sha256').update(body).digest('hex')
        pages.push({ listener, at, items: items.length, sha256, body })
        if (pages.length > options.keepPages) pages.shift()
      }
    },
    delivered(listener) {
      const chosen = listener === undefined ? [...plays.values()] : [plays.get(listener) ?? new Map()]
      return chosen.flatMap((known) => [...known.values()])
    },
    pages: () => pages,
    counts: () => ({ ...counts }),
  }
}

/** Assumes that plays of one millisecond are delivered together, so a known time means a known play. */
function toNewest(known: Float64Array, fresh: readonly number[]): Float64Array {
  return Float64Array.from([...known, ...fresh])
    .sort()
    .slice(-rememberedPlays)
}

/** played_at and track id or uri; the whole JSON for an item that lacks one of the two. */
function toPlayKey(item: PageItem): string {
  const track = item.trackId ?? item.trackUri
  return item.playedAt === null || track === null ? item.json.toString() : `${item.playedAt} ${track}`
}

function toDeliveredPlay(item: PageItem, where: { listener: number; at: number }): DeliveredPlay {
  const { playedAt, trackId, trackUri, oddity } = item
  return { listener: where.listener, playedAt, trackId, trackUri, oddity, deliveredAt: where.at, times: 1 }
}
