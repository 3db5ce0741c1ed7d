import { handlerSink } from '../../lib/kafka/handler-sink.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { readLogNumber, withLogNumber } from '../../services/loader/log-number.ts'
import { plainReader } from '../../services/loader/page-reader.ts'
import type { HistoryBatch } from '../../services/loader/transform.ts'
import { toHistory } from '../../services/loader/transform.ts'
import type { Operator } from '../operator.ts'
import type { Stretch } from './journal.ts'
import { recordsLeft } from './journal.ts'
import { loaderPortion, readSureTime } from './loader-sinks.ts'
import { openPace } from './pace.ts'
import { withPatience } from './patience.ts'
import type { RerunOptions, Source, Wanted } from './run.ts'
import { feed } from './run.ts'

/** Pages to read without any effect. */
export interface PagePass {
  /** Of one topic; not modified. */
  stretches: readonly Stretch[]
  source: Source
  wanted: Wanted
  rate: number | null
}

/** Parses pages as the loader does and passes them to `onPages`; writes nothing. */
export async function passOver(
  operator: Operator,
  { stretches, source, wanted, rate }: PagePass,
  options: Pick<RerunOptions, 'signal' | 'onProgress' | 'onWait'> & {
    onPages: (batch: HistoryBatch) => Promise<void>
  },
): Promise<void> {
  const { signal, onProgress, onPages } = options
  const [sql, { topology }] = await Promise.all([operator.postgres(), operator.broker()])
  const reader = plainReader(await readSureTime(sql))
  const handler = handlerSink<SpotifyResponse>({
    ...{ group: topology.groups.loaderHistory, log: operator.log, signal },
    handler: (records) => {
      const batch = toHistory(records, { reader })
      return async () => {
        const [record] = records
        await onPages(withLogNumber(batch, record ? await readLogNumber(sql, record) : 0))
        return []
      }
    },
  })
  const own = structuredClone([...stretches])
  const total = recordsLeft(own)
  let done = 0
  const pass = {
    ...{ source, wanted, signal, pace: openPace(rate, { portion: loaderPortion, signal }) },
    sinks: { openSink: () => handler, onDeadLetters: async () => undefined },
    onSettled: ({ read }: { read: number }) => {
      done += read
      onProgress?.(done, total)
    },
  }
  await withPatience(() => feed(own, pass), { ...options, progress: () => done })
}
