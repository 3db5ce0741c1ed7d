import type { Env, KafkaConfig } from '../../lib/config.ts'
import { kafkaConfig, kafkaEnv, parseEnv } from '../../lib/config.ts'
import type { Admin, GroupLag, PartitionEnds } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Logger } from '../../lib/log.ts'
import type { Scope } from '../../lib/scope.ts'
import { allTopics, groupTopics, topology } from '../../lib/topology.ts'
import type { Part } from './part.ts'
import { readAfter, readPart } from './part.ts'

export interface TopicEnds {
  topic: string
  /** null: there is no such topic. */
  partitions: PartitionEnds[] | null
}

export interface KafkaParts {
  /** Names as they are without a broker. */
  names: { deadLetters: string; groups: ReturnType<typeof topology>['groups'] }
  topics: Part<TopicEnds[]>
  groups: Part<GroupLag[]>
}

/** Reads every part that Kafka holds. */
export async function readKafkaParts(context: { env: Env; scope: Scope; log: Logger }): Promise<KafkaParts> {
  const t = topology(context.env.KAFKA_PREFIX)
  const admin = await readPart(() => connect(context), `Kafka at ${context.env.KAFKA_BROKERS}`)
  const [topics, groups] = await Promise.all([
    readAfter(admin, (a) =>
      Promise.all(
        allTopics(t).map(async ({ name }) => ({ topic: name, partitions: await a.readEnds(name) })),
      ),
    ),
    readAfter(admin, (a) =>
      Promise.all(
        [...groupTopics(t)].map(([group, read]) =>
          a.readGroupLag(
            group,
            read.map((topic) => topic.name),
          ),
        ),
      ),
    ),
  ])
  return { names: { deadLetters: t.deadLetters.name, groups: t.groups }, topics, groups }
}

async function connect(context: { env: Env; scope: Scope; log: Logger }): Promise<Admin> {
  const config: KafkaConfig = kafkaConfig(parseEnv(kafkaEnv, context.env))
  return context.scope.use(openAdmin({ config, log: context.log, name: 'songswap-cli' }), 'kafka')
}
