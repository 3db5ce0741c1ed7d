import { openCodec } from '../../lib/codec.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { Stack } from './stack.ts'

/** A page in its topic. */
export interface TopicPage {
  partition: number
  offset: number
  value: SpotifyResponse
}

/** All pages of a topic up to its present end, by partition in the order of offsets. */
export async function readPages(
  stack: Stack,
  topic: string,
  onPage: (page: TopicPage) => void,
): Promise<void> {
  const client = { config: stack.kafka, log: stack.log, name: 'bench' }
  const admin = await openAdmin(client)
  const ends = (await admin.readEnds(topic)) ?? []
  await admin.close()
  const codec = openCodec(stack.kafka)
  await readRange({
    ...client,
    topic,
    group: `bench-reader-${crypto.randomUUID()}`,
    ranges: ends.map(({ partition, start, end }) => ({ partition, from: start, to: end })),
    onRecords: async (records) => {
      for (const { partition, offset, bytes } of records) {
        const decoded = await codec.decode<SpotifyResponse>(bytes)
        if (decoded.type !== 'value') throw new Error(`${topic} holds no page at ${partition}/${offset}`)
        onPage({ partition, offset, value: decoded.value })
      }
    },
  })
}
