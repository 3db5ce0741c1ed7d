import type { EventType } from '../../lib/events.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { BudgetState } from '../../lib/spotify/budget.ts'
import type { Gateway } from '../../lib/spotify/gateway.ts'
import type { Incidents } from '../../lib/spotify/incidents.ts'
import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import { countUsers, isAnyFailing, pullIn } from './claims.ts'
import { countRefreshes } from './dead-tokens.ts'
import type { RecentPoll } from './evaluate.ts'
import { addRecent, evaluateDeadToken, evaluateRecent, toRecentResult } from './evaluate.ts'
import { showFreshness } from './freshness.ts'
import { accountsSubject, notices } from './notices.ts'
import type { Bounds, Fairness } from './plan.ts'
import { isBudgetShort, longestInterval } from './plan.ts'

/** What concerns the app as a whole: outages, pauses, the budget. Raised and ended here, seldom and cheaply. */
export interface AppState {
  /** Users and budget as last seen; what `plan.ts` shares out. */
  fairness(budget: BudgetState): Fairness
  /** Takes note of how a poll went; `underWay` is the number of others not ended yet. */
  note(userId: number, answer: OutcomeType, underWay: number): Promise<void>
  /** Polling is stopped by a pause or a spent budget. */
  noteStopped(budget: BudgetState): Promise<void>
  /** Updates metrics and ends what is over; does something once in a while only. */
  upkeep(budget: BudgetState): Promise<void>
}

/** Shorter pauses are the rolling rate limit at its usual work. */
const worthTellingMs = 60_000
const outagePause = { lanes: ['polling'], ms: 15_000, maxMs: 5 * 60_000, reason: 'outage' } as const

export function createAppState(options: {
  sql: Sql
  gateway: Gateway
  incidents: Incidents
  bounds: Bounds
  upkeepMs: number
}): AppState {
  const { sql, gateway, incidents, bounds, upkeepMs } = options
  let recent: readonly RecentPoll[] = []
  let activeUsers = 0
  let nextUpkeep = 0
  let stoppedTold = false

  const fairness = (state: BudgetState): Fairness => ({
    activeUsers,
    remainingMs: state.remainingMs,
    left: state.left,
  })

  async function end(open: Set<EventType>, types: readonly EventType[], subject?: string): Promise<void> {
    for (const type of types) if (open.has(type)) await incidents.resolve(notices.over(type, subject))
  }

  /** Without strikes there was a success since the last pause. */
  async function endWhatIsOver(state: BudgetState): Promise<void> {
    const open = await incidents.open('app')
    const { polling, accounts } = state.lanes
    if (polling.pausedForMs === 0 && polling.strikes === 0 && state.left > 0) {
      await end(open, ['spotify_outage', 'spotify_paused', 'spotify_premium_lapsed'])
      stoppedTold = false
    }
    if (accounts.pausedForMs === 0 && accounts.strikes === 0) await end(open, ['spotify_credentials'])
    if (recent.some((r) => r.result === 'ok')) await end(open, ['spotify_endpoint_gated'])
    if (open.has('tokens_unreadable') && !(await isAnyFailing(sql, 'token_unreadable'))) {
      await end(open, ['tokens_unreadable'])
    }
    if (isBudgetShort(fairness({ ...state, left: state.left * 0.9 }), bounds) === false) {
      await end(open, ['budget_short'])
    }
    const openAccounts = await incidents.open(accountsSubject)
    if (openAccounts.size > 0 && evaluateDeadToken(await countRefreshes(sql), 0) === 'user') {
      await end(openAccounts, ['spotify_outage'], accountsSubject)
    }
  }

  return {
    fairness,

    async note(userId, answer, underWay) {
      const result = toRecentResult(answer)
      if (!result) return
      recent = addRecent(recent, { userId, at: Date.now(), result })
      const gated = recent.filter((r) => r.result === 'gated').length
      if (result === 'gated' && gated === recent.length) await incidents.raise(notices.gated())
      if (evaluateRecent(recent, underWay) === 'working') return
      const failing = recent.filter((r) => r.result !== 'ok').length
      // After the pause Spotify is judged anew, by one user at first.
      recent = []
      await gateway.pause(outagePause)
      await incidents.raise(gated * 2 > failing ? notices.gated() : notices.outage(failing))
    },

    async noteStopped(state) {
      const { pausedForMs, reason } = state.lanes.polling
      const [why, ms] = pausedForMs > 0 ? [reason ?? 'paused', pausedForMs] : ['spent', state.remainingMs]
      if (stoppedTold || ms < worthTellingMs || untoldPauses.has(why)) return
      await incidents.raise(notices.paused(why, ms))
      stoppedTold = true
    },

    async upkeep(state) {
      if (Date.now() < nextUpkeep) return
      nextUpkeep = Date.now() + upkeepMs
      const { due, active } = await countUsers(sql)
      activeUsers = active
      metrics.usersDue.set(due)
      await showFreshness(sql)
      await pullIn(sql, longestInterval(fairness(state), bounds))
      await endWhatIsOver(state)
      if (isBudgetShort(fairness(state), bounds)) {
        await incidents.raise(notices.budgetShort({ activeUsers, dailyRequests: state.dailyRequests }))
      }
    },
  }
}

/** They have an event of their own. */
const untoldPauses = new Set(['premium_lapsed', 'outage'])
