import type { GroupStanding, PartitionStanding } from '../../lib/lag/watch.ts'
import { metrics } from '../../lib/metrics.ts'

/** Dashboards for several clusters expect this label; an installation has one cluster. */
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

/** Clears the metrics, because another process shows the lag. */
export function hideLag(): void {
  for (const gauge of gauges) gauge.reset()
}

/**
 * Shows the lag of every group in records and in seconds, and clears older values. An unknown age is not shown.
 */
export function showLag(groups: readonly GroupStanding[]): void {
  hideLag()
  for (const { group, members, lagMs, partitions } of groups) {
    metrics.consumerMembers.set({ consumergroup: group }, members.length)
    if (lagMs !== null) {
      metrics.consumerMaxLagSeconds.set({ cluster_name: clusterName, group }, lagMs / 1000)
    }
    for (const partition of partitions) showPartition(group, partition)
  }
}

function showPartition(group: string, standing: PartitionStanding): void {
  const { topic, partition, start, end, position, lag, lagMs } = standing
  metrics.consumerLag.set({ consumergroup: group, topic, partition }, lag)
  metrics.consumerOffset.set({ consumergroup: group, topic, partition }, position)
  metrics.partitionEnd.set({ topic, partition }, end)
  metrics.partitionStart.set({ topic, partition }, start)
  if (lagMs === null) return
  metrics.consumerLagSeconds.set({ cluster_name: clusterName, group, topic, partition }, lagMs / 1000)
}
