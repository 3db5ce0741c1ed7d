import type { Notice } from '../../lib/events.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { ClientOptions } from '../../lib/kafka/client.ts'
import { LagWatch, namesOf } from '../../lib/lag/watch.ts'
import type { Resource } from '../../lib/scope.ts'
import type { Topology } from '../../lib/topology.ts'
import { groupTopics } from '../../lib/topology.ts'
import type { LagRules, LagState } from './evaluate.ts'
import { evaluate } from './evaluate.ts'
import { hideLag, showLag } from './lag-metrics.ts'
import type { RaisedAlerts } from './raised-alerts.ts'
import type { RepeatOptions } from './repeat.ts'
import { openRepeat } from './repeat.ts'

export interface SamplerOptions extends Pick<RepeatOptions, 'intervalMs' | 'isChosen' | 'log'> {
  client: ClientOptions
  topology: Topology
  rules: LagRules
  publish: (notices: Notice[]) => Promise<void>
  raised: RaisedAlerts
}

/**
 * Samples the lag of every group at an interval and publishes what has changed. The state advances only once the
 * notices are in the topic, so a notice that could not be published follows from the next sample again.
 */
export function openSampler(options: SamplerOptions): Resource {
  const { client, topology, rules, publish, raised } = options
  const groups = namesOf(groupTopics(topology))
  let admin: Admin | null = null
  let watch: LagWatch | null = null
  let state: LagState | null = null

  async function sample(): Promise<void> {
    admin ??= await openAdmin(client)
    watch ??= new LagWatch({ admin, client, topology, groups })
    const samples = await watch.sample({ ages: true })
    state ??= await raised.restore([...groups.keys()])
    const next = evaluate({ before: state, samples, rules, now: Date.now() })
    if (next.notices.length > 0) await publish(next.notices)
    state = next.state
    await raised.keep(next.notices)
    showLag(samples)
  }

  function forget(): void {
    state = watch = null
    hideLag()
  }

  const repeat = openRepeat({ ...options, work: sample, forget, failed: 'lag_not_sampled' })
  return {
    async close() {
      await repeat.close()
      await admin?.close()
    },
  }
}
