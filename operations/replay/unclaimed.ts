import type { CliContext } from '../../cli/command.ts'
import { handlerSink } from '../../lib/kafka/handler-sink.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { UnclaimedPlay } from '../../services/loader/claim-store.ts'
import { findUnclaimed } from '../../services/loader/claim-store.ts'
import { readLogNumber, withLogNumber } from '../../services/loader/log-number.ts'
import { plainReader } from '../../services/loader/page-reader.ts'
import { toHistory } from '../../services/loader/transform.ts'
import { recordsLeft } from '../rerun/journal.ts'
import { loaderPortion, readSureTime } from '../rerun/loader-sinks.ts'
import { openPace } from '../rerun/pace.ts'
import type { ReplayRun } from './run.ts'
import { openFeed } from './run.ts'

const shown = 5

/** Plays that a replay would remove, as far as its range was read. */
export interface UnclaimedPlays {
  plays: number
  /** The first of them. */
  examples: UnclaimedPlay[]
  /** false: the reading was interrupted. */
  finished: boolean
}

/** Reads the range of a replay of the history as the replay would, and changes nothing. */
export async function countUnclaimed(context: CliContext, going: ReplayRun): Promise<UnclaimedPlays> {
  const { sql, replayed, options } = going
  const { group } = replayed
  const signal = context.interruption()
  const found: UnclaimedPlays = { plays: 0, examples: [], finished: true }
  const reader = plainReader(await readSureTime(sql))
  const handler = handlerSink<SpotifyResponse>({
    ...{ group, log: context.log, signal },
    handler: (records) => {
      const batch = toHistory(records, { reader })
      return async () => {
        const [record] = records
        const { pages } = withLogNumber(batch, record ? await readLogNumber(sql, record) : 0)
        const { removed } = await findUnclaimed(sql, pages)
        found.plays += removed.length
        found.examples.push(...removed.slice(0, shown - found.examples.length))
        return []
      }
    },
  })
  const progress = context.progress({ total: recordsLeft(going.run.plan), unit: 'records' })
  const pace = openPace(options.rate ?? null, { portion: loaderPortion, signal })
  // The run itself has not begun.
  const run = structuredClone(going.run)
  const feed = await openFeed(
    { ...going, run, signal, pace, onRead: progress.add },
    {
      openSink: () => handler,
      bury: async () => undefined,
      onSettled: ({ read }) => progress.add(read),
    },
  )
  try {
    await feed()
  } finally {
    progress.end()
  }
  return { ...found, finished: !signal.aborted }
}
