import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { HistoryBatch } from './transform.ts'

interface LogRow {
  incarnation: number
  topicId: string | null
}

/**
 * The number of the log, in its partition, that a record was read from. The live consumer sets the topic's id; an
 * id other than the latest one begins the next number. A record without an id comes from a replay of the topic and
 * belongs to the latest log.
 *
 * It runs in the transaction that stores the records, so a number is stored with the first rows that have it.
 */
export async function readLogNumber(
  sql: Sql,
  record: Pick<RawRecord, 'topic' | 'partition' | 'topicId'>,
): Promise<number> {
  const { topic, partition, topicId = null } = record
  const latest = await readLatest(sql, { topic, partition })
  if (topicId === null) return latest?.incarnation ?? 0
  if (latest?.topicId === topicId) return latest.incarnation
  // A row without an id comes from a restore or from older brokers: it stands for the present log.
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

/** The batch with a log number in its pages and plays. */
export function withLogNumber(batch: HistoryBatch, number: number): HistoryBatch {
  return {
    ...batch,
    pages: batch.pages.map((p) => ({ ...p, page: { ...p.page, incarnation: p.page.incarnation ?? number } })),
    plays: batch.plays.map((play) => ({ ...play, incarnation: play.incarnation ?? number })),
  }
}
