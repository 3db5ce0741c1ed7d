import type { Codec } from '../../lib/codec.ts'
import type { Notice } from '../../lib/events.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { ClientOptions } from '../../lib/kafka/client.ts'
import { readRange } from '../../lib/kafka/read-range.ts'
import type { Resource } from '../../lib/scope.ts'
import type { OperationalEvent } from '../../lib/topology.ts'
import type { OutageReports } from './outage-reports.ts'
import { hear, toEnds } from './outage-reports.ts'
import type { RepeatOptions } from './repeat.ts'
import { openRepeat } from './repeat.ts'

export interface OutageWatchOptions extends Pick<RepeatOptions, 'isChosen' | 'log'> {
  client: ClientOptions
  codec: Codec
  /** Name of the topic of events. */
  topic: string
  publish: (notices: Notice[]) => Promise<void>
}

const intervalMs = 5_000
/** How far back events are read after a start. */
const historyMs = 86_400_000

/**
 * Publishes the end of an outage when the last process that reported it works again or is silent. It reads the events
 * itself, outside of the group, so that after a restart it knows the open outages even while Postgres is away.
 */
export function openOutageWatch(options: OutageWatchOptions): Resource {
  const { client, codec, topic, publish } = options
  const stop = new AbortController()
  let admin: Admin | null = null
  let outages: OutageReports = new Map()
  /** The next offset of each partition, or null before the first read. */
  let positions: Map<number, number> | null = null

  async function read(connected: Admin): Promise<void> {
    positions ??= await connected.readOffsetsAt(topic, Date.now() - historyMs)
    const next = positions
    const ends = (await connected.readEnds(topic)) ?? []
    await readRange({
      ...client,
      topic,
      signal: stop.signal,
      ranges: ends.map(({ partition, start, end }) => ({
        partition,
        from: Math.max(next.get(partition) ?? start, start),
        to: end,
      })),
      group: `${topic}.outages-${crypto.randomUUID()}`,
      onRecords: async (records) => {
        for (const record of records) {
          const decoded = await codec.decode<OperationalEvent>(record.bytes)
          if (decoded.type === 'value') outages = hear(outages, decoded.value, performance.now())
          next.set(record.partition, record.offset + 1)
        }
      },
    })
  }

  async function work(): Promise<void> {
    admin ??= await openAdmin(client)
    await read(admin)
    if (stop.signal.aborted) return
    const ends = toEnds(outages, performance.now())
    if (ends.length > 0) await publish(ends)
    const over = new Set(ends.map(({ type, subject }) => `${type} ${subject}`))
    outages = new Map([...outages].filter(([key]) => !over.has(key)))
  }

  function forget(): void {
    outages = new Map()
    positions = null
  }

  const repeat = openRepeat({ ...options, intervalMs, work, forget, failed: 'outages_not_judged' })
  return {
    async close() {
      stop.abort()
      await repeat.close()
      await admin?.close()
    },
  }
}
