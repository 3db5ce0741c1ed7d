import type { EventType } from '../../lib/events.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { BudgetState } from '../../lib/spotify/budget.ts'
import { safePollIntervalMs } from '../../lib/spotify/budget-plan.ts'
import type { Gateway } from '../../lib/spotify/gateway.ts'
import type { Incidents } from '../../lib/spotify/incidents.ts'
import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import { countUnreadable, countUsers, isAnyFailing, pullIn } from './claims.ts'
import type { RecentPoll } from './evaluate.ts'
import { addRecent, evaluateRecent, failuresOf, toRecent } from './evaluate.ts'
import { areTokensRefused, isAnybodyServed } from './evidence.ts'
import { hideFreshness, showFreshness } from './freshness.ts'
import { accountsSubject, notices } from './notices.ts'
import type { Bounds, Fairness } from './plan.ts'
import { isBudgetShort, longestInterval } from './plan.ts'
import { openUpkeepLead } from './upkeep-lead.ts'

/** What concerns the app as a whole: outages, pauses, the budget. Raised and ended here, seldom and cheaply. */
export interface AppState {
  /** Users and budget as last seen; what `plan.ts` shares out. */
  fairness(budget: BudgetState): Fairness
  /** Takes note of how an active user's poll went; `underWay` is the number of others not ended yet. */
  note(userId: number, answer: OutcomeType, underWay: number): Promise<void>
  /** Polling is stopped by a pause or a spent budget. */
  noteStopped(budget: BudgetState): Promise<void>
  /** Updates metrics and ends what is over; does something once in a while only. */
  upkeep(budget: BudgetState): Promise<void>
  /** Leaves what one poller does for all to another. */
  release(): Promise<void>
}

/** Shorter pauses are the rolling rate limit at its usual work; within a safe interval a spent budget loses nothing. */
const limitWorthTellingMs = 60_000
const outagePause = { lanes: ['polling'], ms: 15_000, maxMs: 5 * 60_000, reason: 'outage' } as const

export function createAppState(options: {
  sql: Sql
  gateway: Gateway
  incidents: Incidents
  bounds: Bounds
  upkeepMs: number
}): AppState {
  const { sql, gateway, incidents, bounds, upkeepMs } = options
  const lead = openUpkeepLead(sql, upkeepMs * 3)
  let recent: readonly RecentPoll[] = []
  let activeUsers = 0
  let longestMs = bounds.maxIntervalMs
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
    const renews = accounts.pausedForMs === 0 && accounts.strikes === 0
    if (renews) await end(open, ['spotify_credentials'])
    if (recent.some((r) => r.result === 'works')) await end(open, ['spotify_endpoint_gated'])
    for (const [type, error] of failuresWithEvent) {
      if (open.has(type) && !(await isAnyFailing(sql, error))) await end(open, [type])
    }
    if (open.has('budget_short') && isBudgetShort(fairness(state), { bounds, wasShort: true }) === false) {
      await end(open, ['budget_short'])
    }
    const openAccounts = await incidents.open(accountsSubject)
    if (renews) await end(openAccounts, ['spotify_paused'], accountsSubject)
    if (openAccounts.size > 0 && !(await areTokensRefused(sql))) {
      await end(openAccounts, ['spotify_outage'], accountsSubject)
    }
  }

  /** Tokens live for an hour: then nobody is polled, though polling itself is not paused. */
  async function noteAccounts({ pausedForMs, reason }: BudgetState['lanes']['accounts']): Promise<void> {
    const why = reason ?? 'paused'
    if (pausedForMs < safePollIntervalMs || untoldPauses.has(why)) return
    await incidents.raise(notices.accountsPaused(why, pausedForMs))
  }

  /** Joins and updates all users: one poller does it. */
  async function lookAtAll(state: BudgetState): Promise<void> {
    const { due, active } = await countUsers(sql)
    activeUsers = active
    await lead.shareActiveUsers(active)
    metrics.usersDue.set(due)
    await showFreshness(sql)
    await pullIn(sql, longestInterval(fairness(state), bounds))
    if (isBudgetShort(fairness(state), { bounds, wasShort: false })) {
      await incidents.raise(notices.budgetShort({ activeUsers, dailyRequests: state.dailyRequests }))
    }
    const unreadable = await countUnreadable(sql)
    if (unreadable > 0) await incidents.raise(notices.unreadable(unreadable))
    else await incidents.resolve(notices.over('spotify_unreadable'))
  }

  return {
    fairness,

    async note(userId, answer, underWay) {
      const poll = toRecent(userId, answer, performance.now())
      if (!poll) return
      recent = addRecent(recent, poll)
      const gated = recent.filter((r) => r.isGated).length
      const isTelling = recent.length >= Math.min(activeUsers, tellingPolls)
      if (isTelling && gated === recent.length) await incidents.raise(notices.gated())
      if (evaluateRecent(recent, underWay) === 'working') return
      const needsRefusals = evaluateRecent(failuresOf(recent), underWay) === 'working'
      if (needsRefusals && (await isAnybodyServed(sql, longestMs))) return
      const failing = recent.filter((r) => r.result !== 'works').length
      // After the pause Spotify is judged anew, by one user at first.
      recent = []
      await gateway.pause(outagePause)
      await incidents.raise(gated * 2 > failing ? notices.gated() : notices.outage(failing))
    },

    async noteStopped(state) {
      const { pausedForMs, reason } = state.lanes.polling
      const [why, ms] = pausedForMs > 0 ? [reason ?? 'paused', pausedForMs] : ['spent', state.remainingMs]
      const worthTellingMs = why === 'spent' ? safePollIntervalMs : limitWorthTellingMs
      if (stoppedTold || ms < worthTellingMs || untoldPauses.has(why)) return
      await incidents.raise(notices.paused(why, ms))
      stoppedTold = true
    },

    async upkeep(state) {
      if (performance.now() < nextUpkeep) return
      nextUpkeep = performance.now() + upkeepMs
      if (await lead.hold()) await lookAtAll(state)
      else {
        activeUsers = await lead.readActiveUsers()
        // The leading poller shows these; an earlier lead of this one must not linger.
        metrics.usersDue.set(0)
        hideFreshness()
      }
      longestMs = longestInterval(fairness(state), bounds)
      await noteAccounts(state.lanes.accounts)
      await endWhatIsOver(state)
    },

    release: lead.release,
  }
}

/** One refusal says that the endpoint is closed to the app only where there is nobody else. */
const tellingPolls = 3

/** Failures that raise an event while any user has them. */
const failuresWithEvent = [
  ['tokens_unreadable', 'token_unreadable'],
  ['tokens_of_another_app', 'other_app'],
] as const

/** They have an event of their own. */
const untoldPauses = new Set(['premium_lapsed', 'outage', 'invalid_client'])
