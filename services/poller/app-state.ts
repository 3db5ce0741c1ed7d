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

/** Events and metrics of the app as a whole: outages, pauses, the budget. */
export interface AppState {
  /** Users as last counted and the budget given: what `plan.ts` shares out. */
  fairness(budget: BudgetState): Fairness
  /** Notes how an active user's poll went; `underWay` is the number of other polls not ended yet. */
  note(userId: number, answer: OutcomeType, underWay: number): Promise<void>
  /** Polling is stopped by a pause or a spent budget. */
  noteStopped(budget: BudgetState): Promise<void>
  /** Updates metrics and ends events that are over; most calls return at once. */
  upkeep(budget: BudgetState): Promise<void>
  /** Releases the upkeep lead, so that another poller can take it at once. */
  release(): Promise<void>
}

/** Shorter pauses come from the usual rate limit and raise no event. */
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

  /** A lane without strikes has had a success since its last pause. */
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

  /** Access tokens live for an hour: after that a pause of the accounts lane stops polling too. */
  async function noteAccounts({ pausedForMs, reason }: BudgetState['lanes']['accounts']): Promise<void> {
    const why = reason ?? 'paused'
    if (pausedForMs < safePollIntervalMs || untoldPauses.has(why)) return
    await incidents.raise(notices.accountsPaused(why, pausedForMs))
  }

  /** These queries read or change all users, so one poller runs them for all. */
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
      // After the pause Spotify is judged by new polls, of one user at first.
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
        // The leading poller shows these; values from an earlier lead of this one must go.
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

/** The endpoint counts as closed to the app once this many users, or all if there are fewer, are refused. */
const tellingPolls = 3

/** Failures that raise an event while any user has them. */
const failuresWithEvent = [
  ['tokens_unreadable', 'token_unreadable'],
  ['tokens_of_another_app', 'other_app'],
] as const

/** Reasons of pauses that have an event of their own. */
const untoldPauses = new Set(['premium_lapsed', 'outage', 'invalid_client'])
