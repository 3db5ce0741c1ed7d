import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../lib/errors.ts'
import type { Notice } from '../../lib/events.ts'
import type { Admin, GroupLag } from '../../lib/kafka/admin.ts'
import type { Logger } from '../../lib/log.ts'
import type { Resource } from '../../lib/scope.ts'
import type { Topic } from '../../lib/topology.ts'
import type { GroupSample, LagRules, LagState } from './evaluate.ts'
import { evaluate } from './evaluate.ts'
import { hideLag, showLag } from './lag-metrics.ts'
import type { Standing } from './standing.ts'

export interface SamplerOptions {
  openAdmin: () => Promise<Admin>
  /** Consumer groups and the topics that each reads. */
  groups: ReadonlyMap<string, readonly Topic[]>
  rules: LagRules
  intervalMs: number
  /** Of several alerters, the one that this is true for samples. */
  isChosen: () => boolean
  publish: (notices: Notice[]) => Promise<void>
  standing: Standing
  log: Logger
}

/**
 * Samples the lag of every group at an interval and publishes what has changed. Its memory moves on only once
 * the notices are in the topic, so a notice that could not be published is made again from the next sample.
 */
export function openSampler(options: SamplerOptions): Resource {
  const { groups, rules, intervalMs, isChosen, publish, standing, log } = options
  const stop = new AbortController()
  let admin: Admin | null = null
  let state: LagState | null = null

  async function sample(): Promise<void> {
    admin ??= await options.openAdmin()
    const lags: GroupLag[] = []
    for (const [group, topics] of groups) {
      const names = topics.map((t) => t.name)
      lags.push(await admin.readGroupLag(group, names))
    }
    const samples = lags.map(toSample)
    state ??= await standing.restore([...groups.keys()])
    const next = evaluate({ before: state, samples, rules, now: Date.now() })
    if (next.notices.length > 0) await publish(next.notices)
    state = next.state
    await standing.keep(next.notices)
    await showLag(lags, admin)
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      await sleep(intervalMs, undefined, { signal: stop.signal }).catch(() => undefined)
      if (stop.signal.aborted) return
      if (!isChosen()) {
        state = null
        hideLag()
        continue
      }
      await sample().catch((error) => log.warn({ reason: messageOf(error) }, 'lag_not_sampled'))
    }
  }
  const running = run()

  return {
    async close() {
      stop.abort()
      await running
      await admin?.close()
    },
  }
}

function toSample({ group, members, partitions }: GroupLag): GroupSample {
  return { group, members, partitions: partitions.map((p) => ({ ...p, committed: p.committed ?? p.start })) }
}
