import { pause } from '../backoff.ts'
import type { GroupStanding, LagWatchOptions } from './watch.ts'
import { LagWatch } from './watch.ts'

const apartMs = 2_000

/** Judges every group by two samples, two seconds apart: the least that tells a group that works from one that is stuck. */
export async function judgeLag(options: LagWatchOptions): Promise<GroupStanding[]> {
  const watch = new LagWatch(options)
  await watch.sample({ ages: false })
  await pause(apartMs)
  return watch.sample({ ages: true })
}
