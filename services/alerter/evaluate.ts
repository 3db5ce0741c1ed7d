import type { Notice } from '../../lib/events.ts'

/** How a consumer group stands at one moment. */
export interface GroupSample {
  group: string
  members: number
  partitions: { topic: string; partition: number; committed: number; lag: number }[]
}

export interface LagRules {
  /** A group is behind with at least so many records waiting, over several samples. */
  lagRecords: number
  /** A group is stuck when records wait and a partition's offset has not moved for so long. */
  stallMs: number
  /** A group is down without members for so long. */
  downMs: number
}

/** What is remembered of a group between samples. */
interface GroupState {
  emptySince: number | null
  down: boolean
  lagging: boolean
  /** Samples in a row that say otherwise than `lagging`. */
  contrary: number
  /** By `topic/partition`. */
  progress: ReadonlyMap<string, Progress>
}

interface Progress {
  committed: number
  /** Since when it stands there with records waiting. */
  since: number
  /** Whether it was ever seen to move, or to have nothing waiting. */
  moves: boolean
}

export type LagState = ReadonlyMap<string, GroupState>

/** Samples in a row before a lag is told, or its end. */
const samplesToTurn = 3

/**
 * Compares samples with what is known and tells what has changed: `service_down` and `consumer_lagging`, each
 * raised once and resolved once. Hysteresis: a lag must last three samples to be raised; to be resolved it must be
 * below half the threshold for three, with every partition seen to move.
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

/** The state of groups of which it is only known what was raised before. */
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

const fresh: GroupState = { emptySince: null, down: false, lagging: false, contrary: 0, progress: new Map() }

interface Moment {
  sample: GroupSample
  rules: LagRules
  now: number
}

function evaluateGroup(before: GroupState, moment: Moment): { state: GroupState; notices: Notice[] } {
  const { sample, rules, now } = moment
  const emptySince = sample.members > 0 ? null : (before.emptySince ?? now)
  const down = emptySince !== null && (before.down || now - emptySince >= rules.downMs)
  const progress = toProgress(before, moment)
  const lag = sample.partitions.reduce((sum, p) => sum + p.lag, 0)
  const stalledMs = Math.max(0, ...[...progress.values()].map((p) => now - p.since))
  const behind = before.lagging
    ? stalledMs >= rules.stallMs ||
      lag >= rules.lagRecords / 2 ||
      [...progress.values()].some((p) => !p.moves)
    : stalledMs >= rules.stallMs || lag >= rules.lagRecords
  const contrary = behind === before.lagging ? 0 : before.contrary + 1
  const turned = contrary >= samplesToTurn
  const lagging = turned ? behind : before.lagging

  const notices: Notice[] = []
  if (down !== before.down) notices.push(downNotice(sample, { down, forMs: now - (emptySince ?? now) }))
  if (turned) notices.push(lagNotice(sample, { lagging, lag, stalledMs }))
  return { state: { emptySince, down, lagging, contrary: turned ? 0 : contrary, progress }, notices }
}

function toProgress(before: GroupState, { sample, now }: Moment): GroupState['progress'] {
  const progress = new Map<string, Progress>()
  for (const { topic, partition, committed, lag } of sample.partitions) {
    const name = `${topic}/${partition}`
    const known = before.progress.get(name)
    if (lag > 0 && known?.committed === committed) progress.set(name, known)
    else progress.set(name, { committed, since: now, moves: lag === 0 || known !== undefined })
  }
  return progress
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

function lagNotice(sample: GroupSample, now: { lagging: boolean; lag: number; stalledMs: number }): Notice {
  const { group } = sample
  return {
    type: 'consumer_lagging',
    subject: groupSubject(group),
    severity: 'warning',
    state: now.lagging ? 'raised' : 'resolved',
    message: now.lagging
      ? `${group} falls behind: ${now.lag} records wait. See npx songswap lag, and the service's log.`
      : `${group} has caught up: ${now.lag} records wait.`,
    details: {
      lag: String(now.lag),
      stalledSeconds: String(Math.round(now.stalledMs / 1000)),
      members: String(sample.members),
    },
  }
}
