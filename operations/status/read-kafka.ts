import { judgeLag } from '../../lib/lag/brief.ts'
import { namesOf } from '../../lib/lag/watch.ts'
import { allTopics, groupTopics, topology } from '../../lib/topology.ts'
import type { Broker, Operator } from '../operator.ts'
import type { Part } from './part.ts'
import { readAfter, readPart } from './part.ts'
import type { GroupStatus, TopicStatus } from './report.ts'

export type TopicEnds = Pick<TopicStatus, 'topic' | 'partitions'>

export interface KafkaParts {
  /** Names as they are without a broker. */
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

/** Without the ages of dead letters, whose reading takes longer than a part may. */
async function readGroups({ admin, topology: t }: Broker): Promise<GroupStatus[]> {
  const standings = await judgeLag({ admin, client: null, topology: t, groups: namesOf(groupTopics(t)) })
  return standings.map((s) => ({ ...s, members: s.members.length }))
}
