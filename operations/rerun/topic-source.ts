import { readRange } from '../../lib/kafka/read-range.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { Broker } from '../operator.ts'
import type { Choice } from './bounds.ts'
import type { Stretch } from './journal.ts'
import type { Reading, Source } from './run.ts'
import type { Tally } from './tally.ts'
import { planTopic } from './topic-plan.ts'

/** Name of a temporary group. */
export function readerGroup({ client }: Broker): string {
  return `${client.config.prefix}songswap-replay-${crypto.randomUUID()}`
}

/** Reads records from Kafka without touching the offsets of live groups. */
export function topicSource(broker: Broker, tally: Pick<Tally, 'forgotten'>): Source {
  return {
    async read(stretches, reading) {
      const [first] = stretches
      if (!first) return
      await skipForgotten(broker, stretches, tally)
      await readTopic(broker, { ...reading, topic: first.topic, stretches })
    },
  }
}

async function readTopic(
  broker: Broker,
  {
    topic,
    stretches,
    wanted,
    pace,
    signal,
    take,
  }: Reading & { topic: string; stretches: readonly Stretch[] },
): Promise<void> {
  await readRange({
    ...broker.client,
    topic,
    group: readerGroup(broker),
    ranges: stretches.map((s) => ({ partition: s.partition, from: s.next, to: s.to })),
    portion: pace.portion,
    signal,
    async onRecords(records) {
      await pace.wait(records.length)
      const last = records.at(-1)
      const stretch = stretches.find((s) => s.partition === last?.partition)
      if (!last || !stretch || signal.aborted) return
      const decoded = records
        .filter(wanted)
        .map(async (r) => ({ ...r, decoded: await broker.codec.decode<SpotifyResponse>(r.bytes) }))
      await take({
        ...{ stretch, records: await Promise.all(decoded) },
        ...{ read: records.length, through: last.offset },
      })
    },
  })
}

/** Counts records that retention removed after the plan was made, and moves the stretches past them. */
async function skipForgotten(
  { admin }: Broker,
  stretches: readonly Stretch[],
  tally: Pick<Tally, 'forgotten'>,
): Promise<void> {
  const ends = await admin.readEnds(stretches[0]?.topic ?? '')
  for (const stretch of stretches) {
    const start = ends?.find((e) => e.partition === stretch.partition)?.start ?? stretch.next
    const gone = Math.min(start, stretch.to) - stretch.next
    if (gone <= 0) continue
    tally.forgotten += gone
    stretch.next += gone
  }
}

/** All pages that the topic holds. */
export async function* pagesInTopic(
  broker: Broker,
): AsyncGenerator<{ source: Source; stretches: Stretch[] }> {
  const all: Choice = { from: null, to: null, partitions: null }
  const stretches = await planTopic(broker, broker.topology.recentlyPlayed, all)
  yield { source: topicSource(broker, { forgotten: 0 }), stretches }
}
