import { metrics } from '../metrics.ts'
import type { Sql } from '../postgres.ts'
import type { Resource } from '../scope.ts'
import { BudgetBlocks, blocksFromDailyRequests } from './budget-blocks.ts'
import { budgetWindowMs, enrichmentCap } from './budget-plan.ts'
import type { LaneRow, Taken } from './budget-store.ts'
import {
  clearStrikes,
  ensureLanes,
  readActiveUsers,
  readLanes,
  refundRequests,
  storePause,
  takeRequests,
} from './budget-store.ts'
import type { Outcome, RequestLane } from './outcome.ts'
import { lanes } from './outcome.ts'
import type { Pause } from './pause-policy.ts'
import { toPause } from './pause-policy.ts'

/** Why requests were not granted. */
export interface Refusal {
  /** `kept_for_polling`: polling needs the rest until the window ends. */
  reason: 'paused' | 'spent' | 'kept_for_polling'
  /** For a person. */
  detail: string
  /** When to ask again, as a delay in milliseconds. */
  retryAfterMs: number
}

/** How many of the requested requests may be sent; `refusal` is about the others. */
export interface Reservation {
  granted: number
  refusal: Refusal | null
  /** The window that they count in, for {@link Budget.refund}; null if nothing was granted. */
  window: string | null
}

interface LaneState {
  /** 0 if not paused. */
  pausedForMs: number
  reason: string | null
  /** Pauses in a row without a success between them. */
  strikes: number
  /** Requests in the running window. */
  used: number
}

export interface BudgetState {
  dailyRequests: number
  /** Requests left in the running window, all lanes together. */
  left: number
  /** Time until the running window ends; the length of a window if none is running. */
  remainingMs: number
  lanes: Record<RequestLane, LaneState>
}

/**
 * The request budget and the pauses of one client id. They are kept in Postgres: all processes share them, the
 * database's clock measures them, and they survive a restart. No call waits for the end of a pause: it returns how
 * long the pause lasts, and the caller does something else.
 */
export interface Budget extends Resource {
  /**
   * Takes up to `count` requests from the window of 24 hours that begins with its first request. Polling and
   * accounts may use all of it, enrichment only what polling does not need. Grants a part when there is less.
   *
   * @param options.despitePause to find out whether the cause of the pause is gone
   */
  reserve(lane: RequestLane, count: number, options?: { despitePause: boolean }): Promise<Reservation>
  /** Gives back requests that were reserved and not sent. Has no effect once their window is over. */
  refund(lane: RequestLane, count: number, window: string): Promise<void>
  /** Acts on an answer: stores the pause that it asks for, or ends a row of pauses. Call this after each request. */
  settle(lane: RequestLane, outcome: Outcome): Promise<Pause | null>
  /** Stores a pause, unless a longer one is stored. */
  pause(pause: Pause): Promise<void>
  read(): Promise<BudgetState>
}

/** Polling's need shrinks over the window, so enrichment asks again after this time. */
const keptRetryMs = 10 * 60_000
const usersKnownForMs = 15_000

export function openBudget(options: { sql: Sql; clientId: string; dailyRequests: number }): Budget {
  const { sql, clientId, dailyRequests } = options
  const struck = new Set<RequestLane>()
  let users = { count: 0, until: 0 }

  async function countActiveUsers(): Promise<number> {
    if (users.until < performance.now()) {
      users = { count: await readActiveUsers(sql), until: performance.now() + usersKnownForMs }
    }
    return users.count
  }

  async function read(): Promise<BudgetState> {
    const state = toState(await readLanes(sql, clientId), dailyRequests)
    for (const lane of lanes) if (state.lanes[lane].strikes > 0) struck.add(lane)
    metrics.budgetLeft.set(state.left)
    return state
  }

  /** The most that all lanes together may use before this lane gets nothing. */
  async function capOf(lane: RequestLane): Promise<number> {
    if (lane !== 'enrichment') return dailyRequests
    const [{ remainingMs }, activeUsers] = await Promise.all([read(), countActiveUsers()])
    return enrichmentCap({ dailyRequests, activeUsers, remainingMs })
  }

  async function pause(pause: Pause): Promise<void> {
    await ensureLanes(sql, clientId)
    await storePause(sql, clientId, pause)
    for (const lane of pause.lanes) struck.add(lane)
  }

  async function takeShared(lane: RequestLane, count: number, despitePause = false): Promise<Taken> {
    return takeRequests(sql, { clientId, lane, count, cap: await capOf(lane), despitePause })
  }

  const refund = (lane: RequestLane, count: number, window: string): Promise<void> =>
    refundRequests(sql, { clientId, lane, count, window })

  const blocks =
    dailyRequests > blocksFromDailyRequests
      ? new BudgetBlocks({ take: takeShared, refund }, { dailyRequests })
      : null

  /** Reads the pause each time, without a lock, because a pause may begin after a block was taken. */
  async function takeOrBlock(lane: RequestLane, count: number, despitePause: boolean): Promise<Taken> {
    if (!blocks || despitePause) return takeShared(lane, count, despitePause)
    const { pausedForMs } = (await read()).lanes[lane]
    if (pausedForMs === 0) return blocks.take(lane, count)
    return { granted: 0, window: null, windowEndsInMs: 0, isPaused: true }
  }

  return {
    read,
    pause,
    refund,
    async reserve(lane, count, { despitePause } = { despitePause: false }) {
      const { granted, window, isPaused } = await takeOrBlock(lane, count, despitePause)
      if (granted === count) return { granted, window, refusal: null }
      return { granted, window, refusal: toRefusal(await read(), lane, isPaused) }
    },
    async settle(lane, outcome) {
      const wanted = toPause(lane, outcome)
      if (wanted) await pause(wanted)
      else if (outcome.type === 'ok' && struck.delete(lane)) await clearStrikes(sql, clientId, lane)
      return wanted
    },
    async close() {
      await blocks?.close()
    },
  }
}

/** Grants everything and stores nothing: for requests that must be sent while Postgres is away. */
export function openUncountedBudget(dailyRequests: number): Budget {
  return {
    reserve: async (_lane, granted) => ({ granted, refusal: null, window: 'none' }),
    refund: async () => undefined,
    settle: async () => null,
    pause: async () => undefined,
    read: async () => toState([], dailyRequests),
    close: () => undefined,
  }
}

/** The least delay after a pause: a timer that waited for its end may fire a moment early. */
const pauseEndsMs = 50

/** @param isPaused as the grant found it: the pause may be over when the state is read */
function toRefusal(state: BudgetState, lane: RequestLane, isPaused: boolean): Refusal {
  const { pausedForMs, reason } = state.lanes[lane]
  if (isPaused) {
    return { reason: 'paused', detail: reason ?? 'paused', retryAfterMs: Math.max(pausedForMs, pauseEndsMs) }
  }
  const detail = `${state.left} of ${state.dailyRequests} requests left in this window`
  if (lane === 'enrichment' && state.left > 0) {
    return { reason: 'kept_for_polling', detail, retryAfterMs: Math.min(keptRetryMs, state.remainingMs) }
  }
  return { reason: 'spent', detail, retryAfterMs: state.remainingMs }
}

function toState(rows: LaneRow[], dailyRequests: number): BudgetState {
  const state = (lane: RequestLane): LaneState => {
    const row = rows.find((r) => r.lane === lane)
    const running = row?.age_ms !== null && row !== undefined && row.age_ms < budgetWindowMs
    return {
      pausedForMs: Math.max(0, row?.paused_ms ?? 0),
      reason: row?.reason ?? null,
      strikes: row?.strikes ?? 0,
      used: running ? row.used : 0,
    }
  }
  const byLane = { polling: state('polling'), enrichment: state('enrichment'), accounts: state('accounts') }
  const used = lanes.reduce((sum, lane) => sum + byLane[lane].used, 0)
  const ages = rows.map((r) => r.age_ms).filter((age) => age !== null && age < budgetWindowMs)
  const age = ages.length > 0 ? Math.max(...ages.map(Number)) : 0
  return {
    dailyRequests,
    left: Math.max(0, dailyRequests - used),
    remainingMs: budgetWindowMs - age,
    lanes: byLane,
  }
}
