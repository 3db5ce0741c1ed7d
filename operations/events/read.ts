import { pause } from '../../lib/backoff.ts'
import { isKnownOutage } from '../../lib/errors.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { OperationalEvent } from '../../lib/topology.ts'
import { describe, OperatorFault } from '../fault.ts'
import type { Broker } from '../operator.ts'
import type { EventReport } from './report.ts'

export interface EventChoice {
  since: Date
  /** Absent or empty for all types. */
  types?: readonly string[]
  subject?: string
}

export interface Reading {
  signal: AbortSignal
  onEvent: (event: EventReport) => void
}

/** Pause of a follower between two tries while Kafka is away. */
const retryMs = 2_000

/** Reads operational events in the order of the topic, up to its end at this moment. */
export function readEvents(broker: Broker, choice: EventChoice, reading: Reading): Promise<void> {
  return readFrom(broker, choice, { ...reading, positions: new Map(), follow: false })
}

/**
 * Like {@link readEvents}, but goes on with new events until the signal aborts.
 *
 * @param onOutage gets the reason when Kafka is away; the reading then resumes at its position
 */
export async function followEvents(
  broker: Broker,
  choice: EventChoice,
  { onOutage, ...reading }: Reading & { onOutage: (why: string) => void },
): Promise<void> {
  const { signal } = reading
  const positions = new Map<number, number>()
  while (!signal.aborted) {
    try {
      return await readFrom(broker, choice, { ...reading, positions, follow: true })
    } catch (error) {
      if (!isKnownOutage(error)) throw error
      onOutage(describe(error))
      await pause(retryMs, signal)
    }
  }
}

interface Position extends Reading {
  follow: boolean
  /** By partition the offset that is read next; moves with the reading. */
  positions: Map<number, number>
}

async function readFrom(
  { admin, client, codec, topology }: Broker,
  choice: EventChoice,
  { signal, onEvent, positions, follow }: Position,
): Promise<void> {
  const topic = topology.events.name
  const ends = await admin.readEnds(topic)
  if (!ends) throw new OperatorFault(`Topic ${topic} is missing`, 'Make it: npm run migrate')
  const atTime = await admin.readOffsetsAt(topic, choice.since.getTime())
  await readRange({
    ...client,
    topic,
    signal,
    ranges: ends.map(({ partition, end }) => ({
      partition,
      from: positions.get(partition) ?? atTime.get(partition) ?? end,
      to: follow ? Number.MAX_SAFE_INTEGER : end,
    })),
    group: `${topic}.cli-${crypto.randomUUID()}`,
    onRecords: async (records) => {
      for (const record of records) {
        const decoded = await codec.decode<OperationalEvent>(record.bytes)
        const event = decoded.type === 'value' ? decoded.value : null
        if (isChosen(event, record, choice)) onEvent(toReport(event, record))
        positions.set(record.partition, record.offset + 1)
      }
    },
  })
}

function isChosen(event: OperationalEvent | null, record: RawRecord, choice: EventChoice): boolean {
  const { types = [], subject } = choice
  const about = event?.subject ?? record.key?.toString('utf8')
  if (subject !== undefined && about !== subject) return false
  return types.length === 0 || (event !== null && types.includes(event.type))
}

function toReport(event: OperationalEvent | null, record: RawRecord): EventReport {
  if (event) return { ...event, at: new Date(event.at) }
  const { partition, offset, timestamp } = record
  return { undecoded: { partition, offset }, at: new Date(timestamp) }
}
