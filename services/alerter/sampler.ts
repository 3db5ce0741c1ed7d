import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../lib/errors.ts'
import type { Notice } from '../../lib/events.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { ClientOptions } from '../../lib/kafka/client.ts'
import { LagWatch, namesOf } from '../../lib/lag/watch.ts'
import type { Logger } from '../../lib/log.ts'
import type { Resource } from '../../lib/scope.ts'
import type { Topology } from '../../lib/topology.ts'
import { groupTopics } from '../../lib/topology.ts'
import type { LagRules, LagState } from './evaluate.ts'
import { evaluate } from './evaluate.ts'
import { hideLag, showLag } from './lag-metrics.ts'
import type { Standing } from './standing.ts'

export interface SamplerOptions {
  client: ClientOptions
  topology: Topology
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
  const { client, topology, rules, intervalMs, isChosen, publish, standing, log } = options
  const groups = namesOf(groupTopics(topology))
  const stop = new AbortController()
  let admin: Admin | null = null
  let watch: LagWatch | null = null
  let state: LagState | null = null

  async function sample(): Promise<void> {
    admin ??= await openAdmin(client)
    watch ??= new LagWatch({ admin, client, topology, groups })
    const samples = await watch.sample({ ages: true })
    state ??= await standing.restore([...groups.keys()])
    const next = evaluate({ before: state, samples, rules, now: Date.now() })
    if (next.notices.length > 0) await publish(next.notices)
    state = next.state
    await standing.keep(next.notices)
    showLag(samples)
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      await sleep(intervalMs, undefined, { signal: stop.signal }).catch(() => undefined)
      if (stop.signal.aborted) return
      if (!isChosen()) {
        state = watch = null
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
