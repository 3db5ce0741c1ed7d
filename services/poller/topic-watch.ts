import type { LogReader } from '../../lib/kafka/log-reader.ts'
import type { Logger } from '../../lib/log.ts'
import { startPeriodicWork } from '../../lib/periodic-work.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { Resource } from '../../lib/scope.ts'

const everyMs = 30_000

export interface TopicWatchOptions {
  postgres: Postgres
  /** The topic that pages are published to. */
  topic: string
  reader: Pick<LogReader, 'readTopicIds'>
  log: Logger
}

/**
 * Forgets which pages were published when the topic was recreated (its id has changed). Otherwise a page that only
 * the lost log held would not be published again before the user's next play. Checks at the start and every half
 * minute; with several pollers, one of them forgets.
 */
export function watchTopic(options: TopicWatchOptions): Resource {
  const { topic, reader, postgres, log } = options

  async function work(): Promise<void> {
    const topicId = (await reader.readTopicIds([topic])).get(topic)
    // The topic does not exist, or the broker reports no ids.
    if (topicId === undefined) return
    const users = await forgetPages(postgres, { topic, topicId })
    if (users > 0) log.warn({ topic, topicId, users }, 'published_pages_forgotten')
  }
  return startPeriodicWork({ everyMs, work, log, failed: 'topic_not_looked_at', fields: { topic } })
}

/**
 * Stores a topic's id. If another one was stored, digests and leases go: a poll under way compares with the old
 * digest and would store it again. Users who were leased are due at once.
 *
 * @returns users whose page is published again at their next poll
 */
async function forgetPages(postgres: Postgres, at: { topic: string; topicId: string }): Promise<number> {
  return postgres.transaction(async (sql) => {
    const { rows } = await sql.query<{ topic_id: string }>(
      `insert into published_topics (topic, topic_id) values ($1, $2) on conflict (topic) do update
       set seen_at = published_topics.seen_at returning topic_id`,
      [at.topic, at.topicId],
    )
    if (rows[0]?.topic_id === at.topicId) return 0
    await sql.query('update published_topics set topic_id = $2, seen_at = now() where topic = $1', [
      at.topic,
      at.topicId,
    ])
    const { rowCount } = await sql.query(
      `update poll_state set page_digest = null,
         next_poll_at = case when lease_id is null then next_poll_at else now() end,
         leased_until = null, lease_id = null
       where page_digest is not null`,
    )
    return rowCount ?? 0
  })
}
