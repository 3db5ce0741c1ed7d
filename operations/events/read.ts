import type { Codec } from '../../lib/codec.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { OperationalEvent } from '../../lib/topology.ts'
import { OperatorFault } from '../fault.ts'
import type { Broker } from '../operator.ts'

export interface ReadEvents {
  broker: Broker
  codec: Codec
  since: Date
  /** Go on with what comes, until the signal. */
  follow: boolean
  signal: AbortSignal
  /** null: the record is no event. */
  onEvent: (event: OperationalEvent | null, record: RawRecord) => void
  /** Next offset by partition: kept over several calls, so that one goes on where the last one broke off. */
  positions: Map<number, number>
}

/** Reads operational events in the order of the topic. */
export async function readEvents(options: ReadEvents): Promise<void> {
  const { broker, codec, since, follow, signal, onEvent, positions } = options
  const { admin, client, topology } = broker
  const topic = topology.events.name
  const ends = await admin.readEnds(topic)
  if (!ends) throw new OperatorFault(`Topic ${topic} is missing`, 'Make it: npm run migrate')
  const atTime = await admin.readOffsetsAt(topic, since.getTime())
  const ranges = ends.map(({ partition, end }) => ({
    partition,
    from: positions.get(partition) ?? atTime.get(partition) ?? end,
    to: follow ? Number.MAX_SAFE_INTEGER : end,
  }))
  await readRange({
    ...client,
    topic,
    ranges,
    signal,
    group: `${topic}.cli-${crypto.randomUUID()}`,
    onRecords: async (records) => {
      for (const record of records) {
        const decoded = await codec.decode<OperationalEvent>(record.bytes)
        onEvent(decoded.type === 'value' ? decoded.value : null, record)
        positions.set(record.partition, record.offset + 1)
      }
    },
  })
}
