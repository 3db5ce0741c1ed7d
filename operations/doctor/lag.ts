import type { Verdict } from '../../lib/lag/verdict.ts'
import { toPlural, toSpan } from '../../lib/words.ts'
import { judgeLag } from '../lag/judge.ts'
import type { GroupStanding } from '../lag/report.ts'
import type { Check } from './check.ts'
import type { Finding, State } from './report.ts'

export const lagCheck: Check = {
  name: 'lag',
  looksAt: 'consumer groups: whether each gets on with what waits for it',
  withinMs: 20_000,
  hint: 'See the check of the broker.',
  async run(operator, notes) {
    const { groups } = await judgeLag(await operator.broker())
    for (const group of groups) notes.add(judgeGroup(group))
  },
}

const states: Record<Verdict, State> = {
  ok: 'ok',
  unknown: 'ok',
  warn: 'warn',
  rewind: 'warn',
  stall: 'fail',
  stop: 'fail',
}

/** The verdict on a group as a finding. */
export function judgeGroup({ group, lag, lagMs, verdict }: GroupStanding): Finding {
  const oldest = lagMs === null || lag === 0 ? '' : `, the oldest for ${toSpan(lagMs)}`
  const text = `${verdict}: ${toPlural(lag, 'record')} waiting${oldest}`
  const state = states[verdict]
  return { state, subject: group, text, hint: state === 'ok' ? null : `songswap lag ${group}` }
}
