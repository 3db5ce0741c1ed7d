import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { HistoryBatch } from './transform.ts'

interface LogRow {
  incarnation: number
  topicId: string | null
}

/**
 * Which log of its partition a record was read from. The live consumer says the topic's id: one that is not known
 * begins the next number. A record without it was read again from the topic (a replay): it is of the latest log.
 *
 * Runs in the transaction that stores the records, so a number is known from the first rows on that have it.
 */
export async function readLogNumber(
  sql: Sql,
  record: Pick<RawRecord, 'topic' | 'partition' | 'topicId'>,
): Promise<number> {
  const { topic, partition, topicId = null } = record
  const latest = await readLatest(sql, { topic, partition })
  if (topicId === null) return latest?.incarnation ?? 0
  if (latest?.topicId === topicId) return latest.incarnation
  // A row without an id was written by a restore, or of older brokers: the present log is taken for it.
  const isNext = latest !== null && latest.topicId !== null
  const incarnation = (latest?.incarnation ?? 0) + (isNext ? 1 : 0)
  await sql.query(
    `insert into log_incarnations (topic, partition, incarnation, topic_id) values ($1, $2, $3, $4)
     on conflict (topic, partition, incarnation) do update set topic_id = excluded.topic_id
     where log_incarnations.topic_id is null`,
    [topic, partition, incarnation, topicId],
  )
  return incarnation
}

async function readLatest(sql: Sql, of: { topic: string; partition: number }): Promise<LogRow | null> {
  const { rows } = await sql.query<LogRow>({
    name: 'loader_latest_log',
    text: `select incarnation, topic_id as "topicId" from log_incarnations
           where topic = $1 and partition = $2 order by incarnation desc limit 1`,
    values: [of.topic, of.partition],
  })
  return rows[0] ?? null
}

/** A batch whose pages and plays say their log. */
export function withLogNumber(batch: HistoryBatch, number: number): HistoryBatch {
  return {
    ...batch,
    pages: batch.pages.map((p) => ({ ...p, page: { ...p.page, incarnation: p.page.incarnation ?? number } })),
    plays: batch.plays.map((play) => ({ ...play, incarnation: play.incarnation ?? number })),
  }
}
