import { pause } from '../../lib/backoff.ts'
import { isKnownOutage } from '../../lib/errors.ts'
import { worst } from '../../lib/lag/verdict.ts'
import { LagWatch } from '../../lib/lag/watch.ts'
import { describe } from '../fault.ts'
import { resolveGroups } from '../groups.ts'
import type { Broker } from '../operator.ts'
import type { LagReport } from './report.ts'

export interface LagChoice {
  /** Absent or empty for all of the stream's own groups. */
  groups?: readonly string[]
  /** At least two are needed to distinguish a group that works from one that is stuck. */
  samples?: number
  apartMs?: number
  /** False saves the seconds that reading dead letters takes; how long they wait stays unknown then. */
  readsDeadLetters?: boolean
  signal?: AbortSignal
}

/** Judges groups by a few samples; aborting the signal ends the sampling early. */
export async function judgeLag(broker: Broker, choice: LagChoice = {}): Promise<LagReport> {
  const { samples = 2, apartMs = 2_000, signal } = choice
  const watch = await openWatch(broker, choice)
  for (let i = 1; i < samples && !signal?.aborted; i++) {
    await watch.sample({ ages: false })
    await pause(apartMs, signal)
  }
  return readReport(watch, !signal?.aborted)
}

/** Judges groups at an interval until the signal aborts; when a sample fails, yields the reason as text. */
export async function* followLag(
  broker: Broker,
  { apartMs, signal, ...choice }: LagChoice & Required<Pick<LagChoice, 'apartMs' | 'signal'>>,
): AsyncGenerator<LagReport | string> {
  const watch = await openWatch(broker, choice)
  while (!signal.aborted) {
    const seen = await readReport(watch).catch((error: unknown) => {
      if (!isKnownOutage(error)) throw error
      return describe(error)
    })
    if (signal.aborted) return
    yield seen
    await pause(apartMs, signal)
  }
}

async function openWatch(broker: Broker, { groups = [], readsDeadLetters = true }: LagChoice) {
  const { admin, client, topology } = broker
  return new LagWatch({
    ...{ admin, topology, client: readsDeadLetters ? client : null },
    groups: await resolveGroups(broker, groups),
  })
}

async function readReport(watch: LagWatch, ages = true): Promise<LagReport> {
  const groups = await watch.sample({ ages })
  return { at: new Date(), verdict: worst(groups.map((g) => g.verdict)), groups }
}
