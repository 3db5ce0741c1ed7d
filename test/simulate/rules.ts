import { enrichmentCap, fairInterval, safePollIntervalMs } from '../../lib/spotify/budget-plan.ts'
import type { OutcomeType } from '../../lib/spotify/outcome.ts'
import { outcomeRules } from '../../lib/spotify/outcome-rules.ts'
import type { Blame, Evidence } from '../../services/poller/blame.ts'
import { evaluateBlame, toProbeDelay } from '../../services/poller/blame.ts'
import { evaluateRecent, toRecent } from '../../services/poller/evaluate.ts'
import { isBudgetShort, planNext, planRetry } from '../../services/poller/plan.ts'

/** The poller's decisions; the simulation runs any rules against the same world. */
export interface Rules {
  planNext: typeof planNext
  planRetry: typeof planRetry
  /** The meaning for its user of an answer without a page. */
  judge(type: OutcomeType, evidence: Evidence): Blame | 'app'
  toProbeDelay: typeof toProbeDelay
  toRecent: typeof toRecent
  evaluateRecent: typeof evaluateRecent
  isBudgetShort: typeof isBudgetShort
  fairInterval: typeof fairInterval
  enrichmentCap: typeof enrichmentCap
  /** A spent budget is an event when its window lasts longer than this. */
  worthTellingMs: number
  /** Reserved requests that were not sent are refunded. */
  refunds: boolean
  /** Another user's token is renewed to check the accounts service. */
  triesControl: boolean
  /** Requests for the app's own token count towards the budget. */
  countsAppTokens: boolean
}

/** The rules of the services. */
export const currentRules: Rules = {
  ...{ planNext, planRetry, toProbeDelay, toRecent, evaluateRecent, isBudgetShort },
  ...{
    fairInterval,
    enrichmentCap,
    worthTellingMs: safePollIntervalMs,
    refunds: true,
    triesControl: true,
    countsAppTokens: true,
  },
  judge(type, evidence) {
    const { again, parks } = outcomeRules[type]
    if (again === 'pause') return 'app'
    return parks === null ? 'unsure' : evaluateBlame(evidence)
  },
}
