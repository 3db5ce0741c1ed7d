import type { Replayed, ReplayOptions } from '../../cli/replay.ts'
import type { Topic } from '../../lib/topology.ts'
import { OperatorFault } from '../fault.ts'
import type { Broker } from '../operator.ts'
import type { Bound } from '../rerun/bounds.ts'
import { toRanges } from '../rerun/bounds.ts'
import type { Plan, Stretch } from '../rerun/journal.ts'

/** Chooses the ranges of a replay. @throws OperatorFault when a topic is missing */
export async function planReplay(broker: Broker, of: Replayed, options: ReplayOptions): Promise<Plan> {
  const stretches: Stretch[] = []
  for (const topic of of.topics) stretches.push(...(await planTopic(broker, { ...of, topic }, options)))
  return { stretches, choice: { user: options.user ?? null } }
}

async function planTopic(
  broker: Broker,
  { topic, group, isArchiver }: Replayed & { topic: Topic },
  options: ReplayOptions,
): Promise<Stretch[]> {
  const { admin } = broker
  const ends = await admin.readEnds(topic.name)
  if (!ends) throw new OperatorFault(`Topic ${topic.name} is missing`, 'Make it: npm run migrate')
  const { from = null, to = null, partition = null } = options
  const [atFrom, atTo] = await Promise.all([atTime(broker, topic, from), atTime(broker, topic, to)])
  const ranges = toRanges(
    ends,
    { from, to, partitions: partition },
    { ...(atFrom && { from: atFrom }), ...(atTo && { to: atTo }) },
  )
  // What the live archiver has not put yet is its own: a second object would only get into its way.
  const limit = isArchiver ? await readCommitted(broker, group, topic) : null
  return ranges
    .map((r) => ({ ...r, to: limit ? Math.min(r.to, limit.get(r.partition) ?? 0) : r.to }))
    .filter((r) => r.from < r.to)
    .map((r) => ({ topic: topic.name, ...r, next: r.from }))
}

async function atTime({ admin }: Broker, topic: Topic, bound: Bound | null) {
  return bound?.type === 'time' ? admin.readOffsetsAt(topic.name, bound.at) : null
}

async function readCommitted(broker: Broker, group: string, topic: Topic): Promise<Map<number, number>> {
  const committed = await broker.admin.readCommitted(group)
  return new Map(committed.filter((o) => o.topic === topic.name).map((o) => [o.partition, o.offset]))
}
