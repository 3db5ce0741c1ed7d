import type { Topic } from '../../lib/topology.ts'
import { OperatorFault } from '../fault.ts'
import type { Broker } from '../operator.ts'
import type { Bound, Choice } from './bounds.ts'
import { toRanges } from './bounds.ts'
import type { Stretch } from './journal.ts'

/** The chosen ranges of a topic. @throws OperatorFault when the topic is missing */
export async function planTopic(broker: Broker, topic: Topic, choice: Choice): Promise<Stretch[]> {
  const ends = await broker.admin.readEnds(topic.name)
  if (!ends) throw new OperatorFault(`Topic ${topic.name} is missing`, 'Make it: npm run migrate')
  const [from, to] = await Promise.all(
    [choice.from, choice.to].map((bound) => offsetsAt(broker, topic, bound)),
  )
  return toRanges(ends, choice, { ...(from && { from }), ...(to && { to }) }).map((r) => ({
    ...{ topic: topic.name, ...r, next: r.from },
  }))
}

async function offsetsAt({ admin }: Broker, topic: Topic, bound: Bound | null) {
  return bound?.type === 'time' ? admin.readOffsetsAt(topic.name, bound.at) : null
}

/** Cuts stretches at a group's committed offsets: later records are left to the group. */
export async function upToCommitted(
  { admin }: Broker,
  group: string,
  stretches: readonly Stretch[],
): Promise<Stretch[]> {
  const committed = await admin.readCommitted(group)
  const endOf = ({ topic, partition }: Stretch) =>
    committed.find((c) => c.topic === topic && c.partition === partition)?.offset ?? 0
  return stretches.map((s) => ({ ...s, to: Math.min(s.to, endOf(s)) })).filter((s) => s.from < s.to)
}
