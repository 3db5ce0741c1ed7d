import type { Admin, GroupLag, PartitionLag } from '../../lib/kafka/admin.ts'
import { metrics } from '../../lib/metrics.ts'
import type { PastOffset } from './lag-age.ts'
import { isBracketed, lagLadderMs, toLagAge } from './lag-age.ts'

/** The one cluster of an installation, as dashboards of several call it. */
const clusterName = 'songswap'

const gauges = [
  metrics.consumerLag,
  metrics.consumerOffset,
  metrics.consumerMembers,
  metrics.partitionEnd,
  metrics.partitionStart,
  metrics.consumerLagSeconds,
  metrics.consumerMaxLagSeconds,
]

/** Shows nothing: the lag is another process's to show. */
export function hideLag(): void {
  for (const gauge of gauges) gauge.reset()
}

/** Shows the lag of every group, in records and in seconds, in place of what was shown before. */
export async function showLag(
  groups: readonly GroupLag[],
  admin: Pick<Admin, 'readOffsetsAt'>,
): Promise<void> {
  const waiting = groups.flatMap(({ partitions }) => partitions).filter((p) => p.lag > 0)
  const past = await readPast(waiting, admin)
  hideLag()
  for (const group of groups) showGroup(group, past)
}

function showGroup({ group, members, partitions }: GroupLag, past: Past): void {
  metrics.consumerMembers.set({ consumergroup: group }, members)
  let oldestMs = 0
  for (const p of partitions) {
    const { topic, partition } = p
    const ageMs = p.lag > 0 ? toLagAge(nextOf(p), past.get(nameOf(p)) ?? []) : 0
    oldestMs = Math.max(oldestMs, ageMs)
    metrics.consumerLag.set({ consumergroup: group, topic, partition }, p.lag)
    metrics.consumerOffset.set({ consumergroup: group, topic, partition }, nextOf(p))
    metrics.partitionEnd.set({ topic, partition }, p.end)
    metrics.partitionStart.set({ topic, partition }, p.start)
    metrics.consumerLagSeconds.set({ cluster_name: clusterName, group, topic, partition }, ageMs / 1000)
  }
  metrics.consumerMaxLagSeconds.set({ cluster_name: clusterName, group }, oldestMs / 1000)
}

/** By `topic/partition`, for rising ages. */
type Past = ReadonlyMap<string, PastOffset[]>

/** Climbs the ladder, a request per topic and rung, until every waiting record lies between two rungs. */
async function readPast(
  waiting: readonly PartitionLag[],
  admin: Pick<Admin, 'readOffsetsAt'>,
): Promise<Past> {
  const past = new Map<string, PastOffset[]>()
  const now = Date.now()
  for (const [topic, partitions] of Map.groupBy(waiting, (p) => p.topic)) {
    for (const ageMs of lagLadderMs) {
      const open = partitions.filter((p) => !isBracketed(nextOf(p), past.get(nameOf(p)) ?? []))
      if (open.length === 0) break
      const offsets = await admin.readOffsetsAt(topic, now - ageMs)
      for (const name of new Set(open.map(nameOf))) {
        const offset = offsets.get(Number(name.slice(name.lastIndexOf('/') + 1)))
        if (offset !== undefined) past.set(name, [...(past.get(name) ?? []), { ageMs, offset }])
      }
    }
  }
  return past
}

function nameOf({ topic, partition }: PartitionLag): string {
  return `${topic}/${partition}`
}

/** What retention removed does not wait any more. */
function nextOf({ committed, start }: PartitionLag): number {
  return Math.max(committed ?? start, start)
}
