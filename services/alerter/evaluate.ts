import type { Notice } from '../../lib/events.ts'
import type { Verdict } from '../../lib/lag/verdict.ts'
import type { GroupStanding } from '../../lib/lag/watch.ts'

/** The state of a consumer group at one moment. */
export type GroupSample = Pick<GroupStanding, 'group' | 'lag' | 'lagMs' | 'verdict'> & {
  members: readonly unknown[]
}

export interface LagRules {
  /** A group without members for this long is down. */
  downMs: number
}

/** What is remembered of a group between samples. */
interface GroupState {
  emptySince: number | null
  down: boolean
  lagging: boolean
  /** Samples in a row that contradict `lagging`. */
  contrary: number
}

export type LagState = ReadonlyMap<string, GroupState>

/** Samples in a row before a lag or its end is reported. */
const samplesToTurn = 3

/**
 * Whether a verdict means that a group lags, or null if it does not say. A group without members (`stop`) is reported
 * by `service_down`.
 */
const isBehind: Record<Verdict, boolean | null> = {
  ok: false,
  unknown: null,
  warn: true,
  rewind: true,
  stall: true,
  stop: null,
}

/**
 * Compares samples with the state before and reports changes: `service_down` and `consumer_lagging`, each raised once
 * and resolved once. A lag or its end must last three samples.
 *
 * @param now Unix time of the samples in milliseconds
 */
export function evaluate(options: {
  before: LagState
  samples: readonly GroupSample[]
  rules: LagRules
  now: number
}): {
  state: LagState
  notices: Notice[]
} {
  const { before, samples, rules, now } = options
  const results = samples.map((sample) =>
    evaluateGroup(before.get(sample.group) ?? fresh, { sample, rules, now }),
  )
  return {
    state: new Map(results.map((r, i) => [samples[i]?.group ?? '', r.state])),
    notices: results.flatMap((r) => r.notices),
  }
}

/** Subject of a group's events. */
export function groupSubject(group: string): string {
  return `group:${group}`
}

/** The state of groups after a restart, when only the open alerts are known. */
export function restoreState(raised: ReadonlyMap<string, ReadonlySet<string>>, now: number): LagState {
  return new Map(
    [...raised].map(([group, types]) => {
      const down = types.has('service_down')
      return [
        group,
        { ...fresh, down, emptySince: down ? now : null, lagging: types.has('consumer_lagging') },
      ]
    }),
  )
}

const fresh: GroupState = { emptySince: null, down: false, lagging: false, contrary: 0 }

interface Moment {
  sample: GroupSample
  rules: LagRules
  now: number
}

function evaluateGroup(before: GroupState, moment: Moment): { state: GroupState; notices: Notice[] } {
  const { sample, rules, now } = moment
  const emptySince = sample.members.length > 0 ? null : (before.emptySince ?? now)
  const down = emptySince !== null && (before.down || now - emptySince >= rules.downMs)
  const behind = isBehind[sample.verdict] ?? before.lagging
  const contrary = behind === before.lagging ? 0 : before.contrary + 1
  const turned = contrary >= samplesToTurn
  const lagging = turned ? behind : before.lagging

  const notices: Notice[] = []
  if (down !== before.down) notices.push(downNotice(sample, { down, forMs: now - (emptySince ?? now) }))
  if (turned) notices.push(lagNotice(sample, lagging))
  return { state: { emptySince, down, lagging, contrary: turned ? 0 : contrary }, notices }
}

function downNotice({ group }: GroupSample, { down, forMs }: { down: boolean; forMs: number }): Notice {
  return {
    type: 'service_down',
    subject: groupSubject(group),
    severity: 'critical',
    state: down ? 'raised' : 'resolved',
    message: down
      ? `No process has consumed as ${group} for ${Math.round(forMs / 1000)} s: start its service.`
      : `${group} has members again.`,
  }
}

function lagNotice({ group, lag, lagMs, verdict, members }: GroupSample, lagging: boolean): Notice {
  const minutes = lagMs === null ? null : Math.round(lagMs / 60_000)
  const oldest = minutes === null ? '' : `, the oldest for ${minutes} min`
  return {
    type: 'consumer_lagging',
    subject: groupSubject(group),
    severity: 'warning',
    state: lagging ? 'raised' : 'resolved',
    message: lagging
      ? `${group} falls behind (${verdict}): ${lag} records wait${oldest}. See npx songswap lag, and the service's log.`
      : `${group} has caught up: ${lag} records wait.`,
    details: {
      lag: String(lag),
      ...(lagMs !== null && { lagSeconds: String(Math.round(lagMs / 1000)) }),
      verdict,
      members: String(members.length),
    },
  }
}
