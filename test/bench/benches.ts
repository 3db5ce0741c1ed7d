import { measureArchiver, measureLargeObjects } from './archiver.ts'
import { measureFloor } from './floor.ts'
import { measureGrowth } from './growth.ts'
import { measureIdle } from './idle.ts'
import { measureLatency } from './latency.ts'
import type { Load } from './load.ts'
import { measureLoaders } from './loader.ts'
import type { Measurement } from './measure.ts'
import { measurePartitions } from './partitions.ts'
import { measurePoller } from './poller.ts'
import type { ServerName } from './stack.ts'

export interface Bench {
  /** Benchmarks with which its rate is compared. */
  floors?: readonly string[]
  /** Part of `npm run bench` without a name. */
  isUsual: boolean
  /** Maximum of runs, where a run is long or one is enough. */
  runs?: number
  run(load: Load): Promise<Measurement>
}

/** Every benchmark by the name that `npm run bench -- NAME` takes. */
export const benches: Record<string, Bench> = {
  parse: floor('parse'),
  'parse-latin1': floor('parse-latin1'),
  consume: floor('consume', 'kafka'),
  unnest: floor('unnest', 'postgres'),
  copy: floor('copy', 'postgres'),
  's3-put': floor('s3-put', 's3'),
  loader: { floors: ['parse'], isUsual: true, run: (load) => measureLoaders(load, 1) },
  'loader-pair': { floors: ['loader'], isUsual: true, run: (load) => measureLoaders(load, 2) },
  archiver: { floors: ['consume', 's3-put'], isUsual: true, run: measureArchiver },
  'archiver-large': { isUsual: false, runs: 1, run: measureLargeObjects },
  poller: { isUsual: true, run: measurePoller },
  latency: { isUsual: true, runs: 1, run: measureLatency },
  idle: { isUsual: true, runs: 1, run: measureIdle },
  growth: { isUsual: false, runs: 1, run: measureGrowth },
  partitions: { isUsual: false, runs: 1, run: measurePartitions },
}

function floor(name: string, ...servers: ServerName[]): Bench {
  return { isUsual: true, run: (load) => measureFloor(load, name, servers) }
}
