/** Kinds of servers that the stream relies on. */
export type ServerKind = 'Kafka broker' | 'Kafka topic' | 'Schema registry' | 'Postgres' | 'Bucket'

/**
 * A rule for one setting of a server. With an unsafe value, a record, a name or a time can be lost, changed or refused.
 *
 * `refuse`: the promises of docs/guarantees.md cannot hold; `npm run migrate` and `songswap doctor` fail, a running
 * service raises an event and goes on. `warn`: data can be lost if something else fails as well.
 */
export interface SettingRule {
  server: ServerKind
  /** As the server names it. */
  setting: string
  /** The safe values, as text. */
  safe: string
  level: 'refuse' | 'warn'
  harm: string
  remedy: string
  isSafe: (value: string) => boolean
}

const migrate = '`npm run migrate` sets it'
const topicRule = (setting: string, safe: string, harm: string): SettingRule => ({
  server: 'Kafka topic',
  setting,
  safe,
  level: 'refuse',
  harm,
  remedy: migrate,
  // Judged against the topology, topic by topic: lib/kafka/topic-settings.ts.
  isSafe: () => true,
})

const atLeast = (least: number) => (value: string) => Number(value) >= least
const atMost = (most: number) => (value: string) => Number(value) <= most
const is = (wanted: string) => (value: string) => value.toLowerCase() === wanted

/** Kafka 4 removes groups without members after this many minutes by default. */
const aWeekInMinutes = 7 * 24 * 60
/** The default of KAFKA_SESSION_TIMEOUT_SECONDS. */
const sessionTimeoutMs = 12_000
/** Room for the largest batch and the request around it. */
const requestBytes = 16 << 20

/** All rules; docs/operations/server-settings.md has the same lines. */
export const settingRules: readonly SettingRule[] = [
  topicRule(
    'cleanup.policy',
    'as in the topology',
    'compaction keeps one page of a user and deletes the others',
  ),
  topicRule(
    'retention.ms',
    'as in the topology, or longer',
    'records go before a group that was down has read them',
  ),
  topicRule('retention.bytes', '-1', 'records go by size, however young they are'),
  topicRule(
    'max.message.bytes',
    'as in the topology',
    'a page is refused, or a dead letter does not fit where its record did',
  ),
  topicRule(
    'min.compaction.lag.ms',
    'as in the topology, or longer',
    'an answer is compacted away before the archiver has read it',
  ),
  topicRule(
    'min.insync.replicas',
    'replicas - 1, or all of them',
    'an acknowledged record is on one disk only; above the replicas every record is refused',
  ),
  topicRule(
    'compression.type',
    'producer',
    'the broker packs records anew, with a codec that a reader may lack',
  ),
  topicRule(
    'message.timestamp.type',
    'CreateTime',
    'the time of a record becomes the time of its arrival; archive and audit go by it',
  ),
  topicRule(
    'message.timestamp.before.max.ms',
    'without limit',
    'old records are refused when they are restored or redriven',
  ),
  topicRule(
    'unclean.leader.election.enable',
    'false',
    'a replica that lacks acknowledged records becomes leader, and they are gone',
  ),
  {
    server: 'Kafka broker',
    setting: 'group.coordinator.rebalance.protocols',
    safe: 'contains classic',
    level: 'refuse',
    harm: 'no consumer can join its group',
    remedy: 'add `classic` to it',
    isSafe: (value) =>
      value
        .split(',')
        .map((one) => one.trim())
        .includes('classic'),
  },
  {
    server: 'Kafka broker',
    setting: 'group.min.session.timeout.ms',
    safe: `at most ${sessionTimeoutMs}`,
    level: 'refuse',
    harm: 'the broker refuses our session timeout, and no consumer can join its group',
    remedy: `lower it to ${sessionTimeoutMs} or less`,
    isSafe: atMost(sessionTimeoutMs),
  },
  {
    server: 'Kafka broker',
    setting: 'group.max.session.timeout.ms',
    safe: `at least ${sessionTimeoutMs}`,
    level: 'refuse',
    harm: 'the broker refuses our session timeout, and no consumer can join its group',
    remedy: `raise it to ${sessionTimeoutMs} or more`,
    isSafe: atLeast(sessionTimeoutMs),
  },
  {
    server: 'Kafka broker',
    setting: 'socket.request.max.bytes',
    safe: `at least ${requestBytes}`,
    level: 'refuse',
    harm: 'the broker closes the connection on a large page',
    remedy: `raise it to ${requestBytes} or more`,
    isSafe: atLeast(requestBytes),
  },
  {
    server: 'Kafka broker',
    setting: 'unclean.leader.election.enable',
    safe: 'false',
    level: 'warn',
    harm: 'committed offsets can go back, and groups read records again',
    remedy: 'set it to false',
    isSafe: is('false'),
  },
  {
    server: 'Kafka broker',
    setting: 'auto.create.topics.enable',
    safe: 'false',
    level: 'warn',
    harm: 'a client that asks for a topic makes it, with other partitions and another retention than ours',
    remedy: 'set it to false',
    isSafe: is('false'),
  },
  {
    server: 'Kafka broker',
    setting: 'offsets.retention.minutes',
    safe: `at least ${aWeekInMinutes}`,
    level: 'warn',
    harm: 'a group that is down for longer forgets its place and reads everything again',
    remedy: `raise it to ${aWeekInMinutes} or more`,
    isSafe: atLeast(aWeekInMinutes),
  },
  {
    server: 'Kafka broker',
    setting: 'producer.id.expiration.ms',
    safe: 'at least 3600000',
    level: 'warn',
    harm: 'the broker forgets what a producer has sent, and a late retry is stored twice',
    remedy: 'raise it to 3600000 or more',
    isSafe: atLeast(3_600_000),
  },
  {
    server: 'Schema registry',
    setting: 'mode',
    safe: 'READWRITE',
    level: 'refuse',
    harm: 'the schema of a newer version cannot be registered, and its services publish nothing',
    remedy: 'PUT {"mode":"READWRITE"} to /mode',
    isSafe: is('readwrite'),
  },
  {
    server: 'Schema registry',
    setting: 'compatibility',
    safe: 'BACKWARD_TRANSITIVE or FULL_TRANSITIVE, for our subjects',
    level: 'refuse',
    harm: 'a schema is accepted that cannot read what was written before',
    remedy: migrate,
    // Judged subject by subject: the check of the registry in `songswap doctor`.
    isSafe: () => true,
  },
  {
    server: 'Postgres',
    setting: 'server_version_num',
    safe: 'at least 150000',
    level: 'refuse',
    harm: 'statements of ours are refused',
    remedy: 'use Postgres 15 or newer',
    isSafe: atLeast(150_000),
  },
  {
    server: 'Postgres',
    setting: 'server_encoding',
    safe: 'UTF8',
    level: 'refuse',
    harm: 'names of tracks and artists are refused or changed',
    remedy: "create the database with ENCODING 'UTF8' and restore into it",
    isSafe: is('utf8'),
  },
  {
    server: 'Postgres',
    setting: 'DateStyle',
    safe: 'begins with ISO',
    level: 'refuse',
    harm: 'times come back in a form that is read as another time, or as none',
    remedy: "ALTER DATABASE … SET datestyle = 'ISO', and the same for the role",
    isSafe: (value) => value.toUpperCase().startsWith('ISO'),
  },
  {
    server: 'Postgres',
    setting: 'default_transaction_read_only',
    safe: 'off',
    level: 'refuse',
    harm: 'nothing can be stored',
    remedy: 'switch it off, or let DATABASE_URL lead to the primary',
    isSafe: is('off'),
  },
  {
    server: 'Postgres',
    setting: 'in recovery',
    safe: 'off',
    level: 'refuse',
    harm: 'it is a standby: nothing can be stored',
    remedy: 'let DATABASE_URL lead to the primary',
    isSafe: is('off'),
  },
  {
    server: 'Postgres',
    setting: 'zero_damaged_pages',
    safe: 'off',
    level: 'refuse',
    harm: 'rows on a damaged page are wiped without an error',
    remedy: 'switch it off',
    isSafe: is('off'),
  },
  {
    server: 'Postgres',
    setting: 'ignore_checksum_failure',
    safe: 'off',
    level: 'refuse',
    harm: 'damaged rows are read as if they were right',
    remedy: 'switch it off',
    isSafe: is('off'),
  },
  {
    server: 'Postgres',
    setting: 'unlogged tables',
    safe: 'none',
    level: 'refuse',
    harm: 'they are empty after a crash of the server',
    remedy: 'ALTER TABLE … SET LOGGED',
    isSafe: is('none'),
  },
  ...['fsync', 'full_page_writes', 'synchronous_commit'].map(
    (setting): SettingRule => ({
      server: 'Postgres',
      setting,
      safe: 'not off',
      level: 'warn',
      harm: 'a crash loses plays whose offsets are committed',
      remedy: 'switch it on, except where data may be lost (tests)',
      isSafe: (value) => value !== 'off',
    }),
  ),
  {
    server: 'Bucket',
    setting: 'lifecycle: expiration',
    safe: 'none for S3_PREFIX',
    level: 'refuse',
    harm: 'objects of the archive are deleted by age, and a restore lacks them',
    remedy: 'take the rule away, or keep it off S3_PREFIX',
    isSafe: is('none'),
  },
  {
    server: 'Bucket',
    setting: 'lifecycle: transition',
    safe: 'none to GLACIER or DEEP_ARCHIVE for S3_PREFIX',
    level: 'warn',
    harm: 'a restore cannot read the objects until they are fetched back',
    remedy: 'use a class that can be read at once (GLACIER_IR)',
    isSafe: is('none'),
  },
  {
    server: 'Bucket',
    setting: 'versioning',
    safe: 'off',
    level: 'warn',
    harm: 'an object that is rewritten to erase a user stays as an older version',
    remedy: 'add a lifecycle rule that expires noncurrent versions after some days',
    isSafe: is('off'),
  },
  {
    server: 'Bucket',
    setting: 'object lock',
    safe: 'off',
    level: 'warn',
    harm: 'a user cannot be erased from the archive while objects are locked',
    remedy: 'take the default retention away',
    isSafe: is('off'),
  },
]

/** A setting of a server that is not safe. */
export interface UnsafeSetting {
  rule: SettingRule
  /** Where it was found, e.g. `broker 1`. */
  where: string
  value: string
}

/**
 * @param found settings by name; one that the server does not list is not judged
 * @returns the unsafe ones, in the order of the rules
 */
export function judgeSettings(
  server: ServerKind,
  where: string,
  found: ReadonlyMap<string, string>,
): UnsafeSetting[] {
  return settingRules.flatMap((rule): UnsafeSetting[] => {
    const value = found.get(rule.setting)
    if (rule.server !== server || value === undefined || rule.isSafe(value)) return []
    return [{ rule, where, value }]
  })
}

/** One line about an unsafe setting, with the remedy. */
export function toSentence({ rule, where, value }: UnsafeSetting): string {
  return `${where}: ${rule.setting} is ${value} (safe: ${rule.safe}): ${rule.harm}; ${rule.remedy}`
}
