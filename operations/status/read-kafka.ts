import { allTopics, topology } from '../../lib/topology.ts'
import { judgeLag } from '../lag/judge.ts'
import type { Broker, Operator } from '../operator.ts'
import type { Part } from './part.ts'
import { readAfter, readPart } from './part.ts'
import type { GroupStatus, TopicStatus } from './report.ts'

export type TopicEnds = Pick<TopicStatus, 'topic' | 'partitions'>

export interface KafkaParts {
  /** Known without a broker. */
  names: { deadLetters: string; groups: ReturnType<typeof topology>['groups'] }
  topics: Part<TopicEnds[]>
  groups: Part<GroupStatus[]>
}

/** Reads every part that Kafka holds. */
export async function readKafkaParts(operator: Operator): Promise<KafkaParts> {
  const t = topology(operator.env.KAFKA_PREFIX)
  const broker = await readPart(() => operator.broker(), `Kafka at ${operator.env.KAFKA_BROKERS}`)
  const [topics, groups] = await Promise.all([
    readAfter(broker, ({ admin }) =>
      Promise.all(
        allTopics(t).map(async ({ name }) => ({ topic: name, partitions: await admin.readEnds(name) })),
      ),
    ),
    readAfter(broker, readGroups),
  ])
  return { names: { deadLetters: t.deadLetters.name, groups: t.groups }, topics, groups }
}

/** Leaves out the ages of dead letters: reading them may exceed the time limit of a part. */
async function readGroups(broker: Broker): Promise<GroupStatus[]> {
  const { groups } = await judgeLag(broker, { readsDeadLetters: false })
  return groups.map((g) => ({ ...g, members: g.members.length }))
}
