import { exponentialMs } from '../backoff.ts'
import { budgetWindowMs } from './budget-plan.ts'
import type { RequestLane } from './outcome.ts'
import type { Pause } from './pause-policy.ts'

/** The state of one lane; times are Unix times in milliseconds. */
interface LaneBook {
  used: number
  /** Null if it was never paused. */
  pausedUntil: number | null
  /** Pauses in a row without a success between them. */
  strikes: number
}

/** The budget and the pauses of one client id, as `api_pauses` holds them; all lanes share one window. */
export interface Book {
  /** Null if no request was ever granted. */
  windowStartedAt: number | null
  lanes: Record<RequestLane, LaneBook>
}

const emptyLane: LaneBook = { used: 0, pausedUntil: null, strikes: 0 }

export const emptyBook: Book = {
  windowStartedAt: null,
  lanes: { polling: emptyLane, enrichment: emptyLane, accounts: emptyLane },
}

/** The number of granted requests, and the book after it. */
interface Grant {
  granted: number
  book: Book
}

/**
 * The rule of the budget. `budget-store.ts` has the same rule in SQL, and a property test keeps the two equal.
 * A window of 24 hours begins with the first request that is granted after the last window.
 *
 * @param order.cap the most that all lanes together may use
 */
export function take(
  book: Book,
  order: { lane: RequestLane; count: number; cap: number; despitePause: boolean; now: number },
): Grant {
  const { lane, count, cap, despitePause, now } = order
  if (isPaused(book.lanes[lane], now) && !despitePause) return { granted: 0, book }
  const granted = Math.max(0, Math.min(count, cap - usedIn(book, now)))
  if (granted === 0) return { granted, book }
  const running = isRunning(book, now)
  return {
    granted,
    book: {
      windowStartedAt: running ? book.windowStartedAt : now,
      lanes: mapLanes(book, (state, name) => ({
        ...state,
        used: (running ? state.used : 0) + (name === lane ? granted : 0),
      })),
    },
  }
}

/** Gives back requests that were granted and not sent. Has no effect once their window is over. */
export function refund(book: Book, order: { lane: RequestLane; count: number; window: number }): Book {
  if (book.windowStartedAt !== order.window) return book
  return mapLane(book, order.lane, (state) => ({ ...state, used: Math.max(0, state.used - order.count) }))
}

/** Stores a pause, unless a longer one is stored. Several answers that were under way count as one strike. */
export function addPause(book: Book, pause: Pause, now: number): Book {
  return {
    ...book,
    lanes: mapLanes(book, (state, lane) =>
      pause.lanes.includes(lane) ? pausedLane(state, pause, now) : state,
    ),
  }
}

function pausedLane(state: LaneBook, pause: Pause, now: number): LaneBook {
  const paused = isPaused(state, now)
  const until = Math.max(state.pausedUntil ?? Number.NEGATIVE_INFINITY, endOf(state, pause, now))
  return { ...state, strikes: paused ? state.strikes : state.strikes + 1, pausedUntil: until }
}

function endOf(state: LaneBook, { ms, maxMs }: Pause, now: number): number {
  if (maxMs === null) return now + ms
  if (state.pausedUntil !== null && state.pausedUntil > now) return state.pausedUntil
  return now + exponentialMs(state.strikes + 1, { firstMs: ms, longestMs: maxMs })
}

/** A success ends a row of pauses, except during a pause: then the request began before it. */
export function clearStrikes(book: Book, lane: RequestLane, now: number): Book {
  if (isPaused(book.lanes[lane], now)) return book
  return mapLane(book, lane, (state) => ({ ...state, strikes: 0 }))
}

/** Requests used in the running window, all lanes together. */
export function usedIn(book: Book, now: number): number {
  if (!isRunning(book, now)) return 0
  return Object.values(book.lanes).reduce((sum, { used }) => sum + used, 0)
}

function isRunning({ windowStartedAt }: Book, now: number): boolean {
  return windowStartedAt !== null && now - windowStartedAt < budgetWindowMs
}

function isPaused({ pausedUntil }: LaneBook, now: number): boolean {
  return pausedUntil !== null && pausedUntil > now
}

function mapLane(book: Book, lane: RequestLane, change: (state: LaneBook) => LaneBook): Book {
  return { ...book, lanes: { ...book.lanes, [lane]: change(book.lanes[lane]) } }
}

function mapLanes(book: Book, change: (state: LaneBook, lane: RequestLane) => LaneBook): Book['lanes'] {
  const { polling, enrichment, accounts } = book.lanes
  return {
    polling: change(polling, 'polling'),
    enrichment: change(enrichment, 'enrichment'),
    accounts: change(accounts, 'accounts'),
  }
}
