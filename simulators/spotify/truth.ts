import { createHash } from 'node:crypto'
import type { PageItem } from './page.ts'

/**
 * The source of truth: what was delivered, that is, held by a page whose 200 answer went out completely.
 * `full` remembers every play, `count` only how many there were (and the newest few of each listener, to tell
 * new plays from old): enough for a load of tens of thousands of listeners.
 */
export type TruthDepth = 'full' | 'count'

/** At depth `count`: more than a window, so that late plays do not bring forgotten ones back. */
const rememberedPlays = 64

interface DeliveredPlay {
  listener: number
  /** The item's own `played_at`; null where it had none. */
  playedAt: string | null
  trackId: string | null
  trackUri: string | null
  oddity: PageItem['oddity']
  /** Unix ms of the first delivery. */
  deliveredAt: number
  /** In how many delivered pages the play was. */
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
  /** The last pages, oldest first; as many as were asked to be kept. */
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

/** Two plays of one millisecond are always delivered together, so the times tell old plays from new ones. */
function toNewest(known: Float64Array, fresh: readonly number[]): Float64Array {
  return Float64Array.from([...known, ...fresh])
    .sort()
    .slice(-rememberedPlays)
}

/** (played_at, track id or uri); an item that lacks one of the two is known by its JSON. */
function toPlayKey(item: PageItem): string {
  const track = item.trackId ?? item.trackUri
  return item.playedAt === null || track === null ? item.json.toString() : `${item.playedAt} ${track}`
}

function toDeliveredPlay(item: PageItem, where: { listener: number; at: number }): DeliveredPlay {
  const { playedAt, trackId, trackUri, oddity } = item
  return { listener: where.listener, playedAt, trackId, trackUri, oddity, deliveredAt: where.at, times: 1 }
}
