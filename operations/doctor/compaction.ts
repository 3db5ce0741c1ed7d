import type { TopicDescription } from '../../lib/kafka/cluster-admin.ts'
import { LagWatch } from '../../lib/lag/watch.ts'
import { toSpan } from '../../lib/words.ts'
import type { Broker } from '../operator.ts'
import type { Finding } from './report.ts'

/** The archiver's lag in a compacted topic. */
interface Waiting {
  records: number
  /** Age of the oldest of them, or null if it is unknown or none waits. */
  oldestMs: number | null
}

/** Compares the age of what waits for the archiver with the time after which compaction may remove it. */
export async function checkCompaction(
  { admin, client, topology }: Broker,
  { topic, settings }: TopicDescription,
): Promise<Finding> {
  const groups = new Map([[topology.groups.archiver, [topic]]])
  const [standing] = await new LagWatch({ admin, client, topology, groups }).sample({ ages: true })
  const waiting = { records: standing?.lag ?? 0, oldestMs: standing?.lagMs ?? null }
  return judgeCompaction(topic, Number(settings.get('min.compaction.lag.ms') ?? 0), waiting)
}

/** @param limitMs age from which compaction may remove a record */
export function judgeCompaction(topic: string, limitMs: number, { records, oldestMs }: Waiting): Finding {
  const subject = `archiver of ${topic}`
  const limit = `compaction leaves records alone for ${toSpan(limitMs)}`
  if (records === 0) return { state: 'ok', subject, text: `nothing waits; ${limit}`, hint: null }
  const hint = `Mend the archiver or its object store in time, or raise min.compaction.lag.ms of ${topic}: npm run migrate leaves a larger value.`
  if (oldestMs === null) {
    const text = `${records} records wait, and it is not known since when; ${limit}`
    return { state: 'warn', subject, text, hint }
  }
  const text = `the oldest record has waited for ${toSpan(oldestMs)}; ${limit}`
  if (oldestMs < limitMs / 2) return { state: 'ok', subject, text, hint: null }
  return { state: oldestMs < limitMs ? 'warn' : 'fail', subject, text, hint }
}
