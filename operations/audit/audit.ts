import type { OffsetRange } from '../../lib/kafka/read-range.ts'
import type { Topic } from '../../lib/topology.ts'
import type { Archive, Broker, OnProgress, Operator } from '../operator.ts'
import { maxFaults } from './account.ts'
import { readCoverage } from './archive.ts'
import { countItems } from './items.ts'
import type { AuditReport, Coverage } from './report.ts'
import { addsUp } from './verdict.ts'

interface AuditWatch {
  /** Ends the audit early, without a report. */
  signal: AbortSignal
  onRecords?: OnProgress
  onObjects?: OnProgress
}

/**
 * Counts what entered the stream and where it ended. It touches no group's offsets and changes nothing.
 *
 * @param choice.since only records from then on, or null for all records of the topics
 * @param choice.archive whether to check the objects of the archive too
 * @returns null if it was aborted
 */
export async function audit(
  operator: Operator,
  { since, archive }: { since: Date | null; archive: boolean },
  { signal, onRecords, onObjects }: AuditWatch,
): Promise<AuditReport | null> {
  const [sql, broker] = await Promise.all([operator.postgres(), operator.broker()])
  const { recentlyPlayed, metadata } = broker.topology
  const all = await rangesOf(broker, recentlyPlayed, since)
  const ranges = await takenByLoader(broker, all)
  const [records, total] = [sizeOf(all), sizeOf(ranges)]
  let read = 0
  const account = await countItems(broker, sql, {
    ...{ ranges, signal },
    onRecords: (n) => {
      read += n
      onRecords?.(read, total)
    },
  })
  const covered: Record<string, Coverage> = {}
  let objects = 0
  for (const topic of archive ? [recentlyPlayed, metadata] : []) {
    covered[topic.name] = await cover(broker, await operator.archive(), {
      ...{ topic, since, signal },
      onObject: () => onObjects?.(++objects, null),
    })
  }
  if (signal.aborted) return null
  const counted = { records, waiting: records - total, account, archive: archive ? covered : null }
  return { ...counted, addsUp: addsUp(counted) }
}

/** The offsets of a topic from a moment on. */
async function rangesOf({ admin }: Broker, topic: Topic, since: Date | null): Promise<OffsetRange[]> {
  const ends = (await admin.readEnds(topic.name)) ?? []
  const starts = since ? await admin.readOffsetsAt(topic.name, since.getTime()) : new Map<number, number>()
  return ends.map(({ partition, start, end }) => ({
    partition,
    from: Math.max(start, starts.get(partition) ?? start),
    to: end,
  }))
}

/** The ranges, cut at the loader's committed offsets. */
async function takenByLoader({ admin, topology }: Broker, all: OffsetRange[]): Promise<OffsetRange[]> {
  const { partitions } = await admin.readGroupLag(topology.groups.loaderHistory, [
    topology.recentlyPlayed.name,
  ])
  const taken = new Map(partitions.map((p) => [p.partition, p.committed ?? p.start]))
  return all.map((range) => {
    const to = Math.min(range.to, taken.get(range.partition) ?? range.from)
    return { ...range, to: Math.max(range.from, to) }
  })
}

/** How much of a topic the archive holds. */
async function cover(
  broker: Broker,
  archive: Archive,
  of: { topic: Topic; since: Date | null; signal: AbortSignal; onObject: () => void },
): Promise<Coverage> {
  const { topic, since, signal, onObject } = of
  const sum: Coverage = { archived: 0, waiting: 0, faults: [] }
  const { partitions } = await broker.admin.readGroupLag(broker.topology.groups.archiver, [topic.name])
  const committed = new Map(partitions.map((p) => [p.partition, p.committed]))
  for (const range of await rangesOf(broker, topic, since)) {
    if (signal.aborted) break
    const { archived, waiting, faults } = await readCoverage(archive, topic.name, {
      ...{ ...range, onObject },
      isCompacted: topic.cleanup !== 'delete',
      committed: committed.get(range.partition) ?? null,
    })
    sum.archived += archived
    sum.waiting += waiting
    sum.faults.push(...faults)
  }
  const more = sum.faults.length - maxFaults
  return more > 0 ? { ...sum, faults: sum.faults.slice(0, maxFaults), moreFaults: more } : sum
}

const sizeOf = (ranges: readonly OffsetRange[]) => ranges.reduce((n, r) => n + r.to - r.from, 0)
