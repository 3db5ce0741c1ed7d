import type { Sql } from '../postgres.ts'
import type { RawRecord } from './record.ts'

/** Finds the offsets of the records that operators have buried for a group. */
export type Burials = (batch: {
  group: string
  records: readonly RawRecord[]
}) => Promise<ReadonlySet<number>>

/**
 * Reads the marks that `songswap dead-letters bury` leaves. A mark also holds the time of its record, because a topic
 * that is created again uses the same offsets again.
 */
export function readBurials(sql: Sql): Burials {
  return async ({ group, records }) => {
    const [first] = records
    if (!first) return new Set()
    const { rows } = await sql.query<{ offset: number; recordTimestamp: Date }>({
      name: 'burials',
      text: `
        select "offset", record_timestamp as "recordTimestamp" from burials
        where consumer_group = $1 and topic = $2 and partition = $3 and "offset" between $4 and $5`,
      values: [group, first.topic, first.partition, first.offset, records.at(-1)?.offset],
    })
    const marks = new Map(rows.map((row) => [row.offset, row.recordTimestamp.getTime()]))
    return new Set(records.filter((r) => marks.get(r.offset) === r.timestamp).map((r) => r.offset))
  }
}
