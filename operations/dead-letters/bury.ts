import { readRange } from '../../lib/kafka/read-range.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { Topology } from '../../lib/topology.ts'
import { groupTopics } from '../../lib/topology.ts'
import { OperatorFault } from '../fault.ts'
import { toPhysical } from '../groups.ts'
import type { Broker, Operator } from '../operator.ts'
import type { BurialReport } from './report.ts'

/** The place of a record, and the group that cannot get past it. */
interface Grave {
  group: string
  topic: string
  partition: number
  offset: number
}

/**
 * Orders a group to bury a record: at its next try the group makes it a dead letter and goes on.
 *
 * @param place `TOPIC/PARTITION/OFFSET`
 * @throws OperatorFault when the record does not exist, or when the group is past it
 */
export async function bury(
  operator: Operator,
  place: string,
  { execute, note }: { execute: boolean; note: string | null },
): Promise<{ report: BurialReport; record: RawRecord }> {
  const [sql, broker] = await Promise.all([operator.postgres(), operator.broker()])
  const grave = toGrave(place, broker)
  const committed = await committedAt(broker, grave)
  if (committed > grave.offset) {
    throw new OperatorFault(
      `${grave.group} is past ${place} already: it stands at ${committed}`,
      'There is nothing to give up.',
    )
  }
  const record = await readRecord(broker, grave)
  if (execute) await order(sql, { ...grave, record, note })
  return { report: { executed: execute, ...grave, committed, timestamp: new Date(record.timestamp) }, record }
}

/** @throws OperatorFault unless the text is a place in a topic that a group other than the archiver reads */
function toGrave(text: string, { topology, client }: Broker): Grave {
  const readers = toReaders(topology)
  const match = /^(.+)\/(\d{1,9})\/(\d{1,15})$/.exec(text)
  const topic = match && toPhysical(match[1] ?? '', [...readers.keys()], client.config.prefix)
  const group = topic && readers.get(topic)
  if (!match || !topic || !group) {
    throw new OperatorFault(
      `"${text}" is not TOPIC/PARTITION/OFFSET`,
      `Topics: ${[...readers.keys()].join(', ')}.`,
      { code: 'usage' },
    )
  }
  return { group, topic, partition: Number(match[2]), offset: Number(match[3]) }
}

/** By topic, the one group that can bury its records. */
function toReaders(topology: Topology): Map<string, string> {
  const groups = [...groupTopics(topology)].filter(([group]) => group !== topology.groups.archiver)
  return new Map(groups.flatMap(([group, topics]) => topics.map(({ name }) => [name, group] as const)))
}

async function committedAt({ admin }: Broker, { group, topic, partition, offset }: Grave): Promise<number> {
  const { partitions } = await admin.readGroupLag(group, [topic])
  const found = partitions.find((p) => p.partition === partition)
  if (!found) throw new OperatorFault(`${topic} has no partition ${partition}`, 'Is the place right?')
  if (offset < found.start || offset >= found.end) {
    const has = `${found.start} to ${found.end} (the end not included)`
    throw new OperatorFault(`${topic} has no record ${partition}/${offset}`, `The partition has ${has}.`)
  }
  return found.committed ?? found.start
}

async function readRecord({ client }: Broker, grave: Grave): Promise<RawRecord> {
  const { topic, partition, offset } = grave
  const records: RawRecord[] = []
  await readRange({
    ...client,
    topic,
    group: `${topic}.cli-${crypto.randomUUID()}`,
    ranges: [{ partition, from: offset, to: offset + 1 }],
    onRecords: async (some) => void records.push(...some),
  })
  const record = records.find((r) => r.offset === offset)
  if (record) return record
  throw new OperatorFault(`${topic} has no record ${partition}/${offset}`, 'Compaction has removed it.')
}

async function order(
  sql: Sql,
  { group, topic, partition, offset, record, note }: Grave & { record: RawRecord; note: string | null },
): Promise<void> {
  await sql.query(
    `insert into burials (consumer_group, topic, partition, "offset", record_timestamp, note)
     values ($1, $2, $3, $4, $5, $6) on conflict do nothing`,
    [group, topic, partition, offset, new Date(record.timestamp), note],
  )
}
