import type { Producer } from '../../lib/kafka/producer.ts'
import type { Header, RawRecord } from '../../lib/kafka/record.ts'
import { headerText } from '../../lib/kafka/record.ts'
import { restoreHeaders } from '../../lib/kafka/restored.ts'
import type { OpenSink } from '../../lib/kafka/sink.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { Tally } from './tally.ts'

const origins = ['topic', 'partition', 'offset', 'timestamp'] as const

/** Sinks that put records back into their partition, with their time, key, headers and original place. */
export function topicSinks(producer: Producer, tally: Tally): OpenSink<SpotifyResponse> {
  return () => ({
    async write(records) {
      const [first] = records
      if (!first) return { through: null, deadLetters: [] }
      await producer.publish(
        first.topic,
        records.map((r) => ({
          key: r.key,
          value: r.bytes,
          headers: [...r.headers, ...toOrigin(r)],
          timestamp: r.timestamp,
          partition: r.partition,
        })),
      )
      tally.published += records.length
      return { through: records.at(-1)?.offset ?? null, deadLetters: [] }
    },
    tick: async () => ({ through: null, deadLetters: [] }),
    close: async () => undefined,
  })
}

/** Whether a restore put the record there: its original lies elsewhere. */
export function isCopy(record: Pick<RawRecord, 'headers'>): boolean {
  return headerText(record, restoreHeaders.offset) !== null
}

function toOrigin(record: RawRecord): Header[] {
  const fields = record.incarnation ? ([...origins, 'incarnation'] as const) : origins
  return fields.map((field) => ({
    name: restoreHeaders[field],
    value: Buffer.from(String(record[field]), 'utf8'),
  }))
}
