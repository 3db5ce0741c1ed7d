import type { KafkaConfig } from '../config.ts'
import { openAdmin } from '../kafka/admin.ts'
import type { ClusterAdmin, TopicDescription } from '../kafka/cluster-admin.ts'
import { differencesOf } from '../kafka/topic-settings.ts'
import type { Logger } from '../log.ts'
import type { Sql } from '../postgres.ts'
import { fieldOf, openRegistry, unexpected } from '../registry.ts'
import type { Topic } from '../topology.ts'
import { allTopics, topology } from '../topology.ts'
import type { UnsafeSetting } from './rules.ts'
import { judgeSettings, settingRules } from './rules.ts'

/** Unsafe settings of brokers, topics and database. @throws when one of them cannot be read */
export async function findInServers(options: {
  kafka: KafkaConfig
  sql: Sql
  name: string
  log: Logger
}): Promise<UnsafeSetting[]> {
  const { kafka: config, sql, name, log } = options
  const admin = await openAdmin({ config, log, name })
  try {
    return [
      ...(await findInBrokers(admin)),
      ...(await findInTopics(admin, allTopics(topology(config.prefix)))),
      ...(await findInDatabase(sql)),
    ]
  } finally {
    await admin.close()
  }
}

/** Unsafe settings of every broker. @throws the broker's error, also when this principal may not ask */
export async function findInBrokers(admin: ClusterAdmin): Promise<UnsafeSetting[]> {
  const brokers = await admin.readBrokers()
  const found = await Promise.all(
    brokers.map(async ({ id }) => ({ id, settings: await admin.describeBroker(id) })),
  )
  return found.flatMap(({ id, settings }) => judgeSettings('Kafka broker', `broker ${id}`, settings))
}

/** Unsafe settings of the topics that exist. @throws the broker's error, also when this principal may not ask */
async function findInTopics(admin: ClusterAdmin, topics: readonly Topic[]): Promise<UnsafeSetting[]> {
  const found = await admin.describeTopics(topics.map((topic) => topic.name))
  return topics.flatMap((topic) => {
    const description = found.find((one) => one.topic === topic.name)
    return description ? judgeTopic(topic, description) : []
  })
}

function judgeTopic(topic: Topic, found: TopicDescription): UnsafeSetting[] {
  return differencesOf(topic, found)
    .filter((difference) => !difference.isMore)
    .flatMap(({ name, actual }): UnsafeSetting[] => {
      const rule = settingRules.find((one) => one.server === 'Kafka topic' && one.setting === name)
      return rule ? [{ rule, where: `topic ${topic.name}`, value: actual }] : []
    })
}

/** Unsafe settings of the database, as they apply to this role. @throws the server's error */
export async function findInDatabase(sql: Sql): Promise<UnsafeSetting[]> {
  const names = settingRules.filter((rule) => rule.server === 'Postgres').map((rule) => rule.setting)
  const { rows } = await sql.query<{ name: string; value: string }>(
    `select name, setting as value from pg_settings where name = any($1)
     union all select 'in recovery', case when pg_is_in_recovery() then 'on' else 'off' end
     union all select 'unlogged tables', coalesce(string_agg(c.relname, ', ' order by c.relname), 'none')
       from pg_class c where c.relpersistence = 'u' and c.relkind in ('r', 'p')
         and c.relnamespace = current_schema()::regnamespace`,
    [names],
  )
  return judgeSettings('Postgres', 'Postgres', new Map(rows.map(({ name, value }) => [name, value])))
}

/** Unsafe settings of the registry; none if it has no modes. @throws when it does not answer */
export async function findInRegistry(registryUrl: string): Promise<UnsafeSetting[]> {
  const answer = await openRegistry(registryUrl).ask('GET', '/mode')
  if (answer.status !== 200) return []
  if (answer.json === null) throw unexpected(answer)
  const mode = fieldOf(answer.json, 'mode')
  const found = new Map(typeof mode === 'string' ? [['mode', mode]] : [])
  return judgeSettings('Schema registry', 'registry', found)
}
