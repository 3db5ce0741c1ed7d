import type { Command } from 'commander'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { Topology } from '../../lib/topology.ts'
import { groupTopics } from '../../lib/topology.ts'
import { toUtc } from '../../lib/words.ts'
import { OperatorFault } from '../../operations/fault.ts'
import { toPhysical } from '../../operations/groups.ts'
import type { Broker } from '../../operations/operator.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { toPrintable } from '../terminal/table.ts'

interface Options {
  execute?: true
  note?: string
}

/** Where a record lies, and the group that cannot get past it. */
interface Grave {
  group: string
  topic: string
  partition: number
  offset: number
}

export function define(command: Command, run: Run): void {
  command
    .description(
      'Gives up a record that holds up its partition: the group makes it a dead letter at its next try, and goes on. For what record_held_up names. Shows what it would do; does it with --execute.',
    )
    .option('--note <text>', 'why; kept with the order')
    .option('--execute', 'do it')
  act<Options>(command, run, bury)
  examples(command, ['songswap dead-letters bury spotify.recently-played/3/1234 --execute'])
  notes(command, [
    'PLACE is TOPIC/PARTITION/OFFSET. The order is kept until the group tries the record; a group that has got past it in the meantime ignores it. The archiver buries nothing.',
    'The dead letter can be redriven when its cause is mended.',
  ])
}

async function bury(context: CliContext, options: Options, place = ''): Promise<number> {
  const { out } = context
  const [sql, broker] = await Promise.all([context.operator.postgres(), context.operator.broker()])
  const grave = toGrave(place, broker)
  const committed = await committedAt(broker, grave)
  if (committed > grave.offset) {
    throw new OperatorFault(
      `${grave.group} is past ${place} already: it stands at ${committed}`,
      'There is nothing to give up.',
    )
  }
  const record = await readRecord(broker, grave)
  if (options.execute) await order(sql, { ...grave, record, note: options.note ?? null })
  if (out.json) {
    const timestamp = new Date(record.timestamp)
    out.printJson({ executed: options.execute ?? false, ...grave, committed, timestamp })
    return exitCodes.stopped
  }
  const key = toPrintable(record.key?.toString('utf8') ?? 'none')
  out.print(
    `${grave.topic} ${grave.partition}/${grave.offset} of ${toUtc(new Date(record.timestamp))}, key ${key}`,
  )
  out.say(`${grave.group} stands at ${grave.partition}/${committed}.`)
  out.say(
    options.execute
      ? `${grave.group} gives it up at its next try.`
      : 'Nothing was changed. Give it up with: --execute',
  )
  return exitCodes.stopped
}

/** @throws OperatorFault for what is no place of a topic that a group other than the archiver reads */
function toGrave(text: string, { topology, client }: Broker): Grave {
  const readers = toReaders(topology)
  const match = /^(.+)\/(\d{1,9})\/(\d{1,15})$/.exec(text)
  const topic = match && toPhysical(match[1] ?? '', [...readers.keys()], client.config.prefix)
  const group = topic && readers.get(topic)
  if (!match || !topic || !group) {
    throw new OperatorFault(
      `"${toPrintable(text)}" is not TOPIC/PARTITION/OFFSET`,
      `Topics: ${[...readers.keys()].join(', ')}.`,
      { code: 'usage' },
    )
  }
  return { group, topic, partition: Number(match[2]), offset: Number(match[3]) }
}

/** By topic the one group that buries records of it. */
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
