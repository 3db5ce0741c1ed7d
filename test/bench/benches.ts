import { setTimeout as sleep } from 'node:timers/promises'
import { measureArchiver } from './archiver.ts'
import { measureGrowth } from './growth.ts'
import { measureIdle } from './idle.ts'
import { measureLatency } from './latency.ts'
import type { Load } from './load.ts'
import { measureLoaders } from './loader.ts'
import type { Measurement } from './measure.ts'
import { watchServers } from './measure.ts'
import { measurePoller } from './poller.ts'
import { startProcess } from './service.ts'
import type { ServerName } from './stack.ts'

export interface Bench {
  /** The benchmarks that its rate is compared with. */
  floors?: readonly string[]
  /** Part of `npm run bench` without a name. */
  isUsual: boolean
  /** Most runs, where one is long or says all. */
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
  poller: { isUsual: true, run: measurePoller },
  latency: { isUsual: true, runs: 1, run: measureLatency },
  idle: { isUsual: true, runs: 1, run: measureIdle },
  growth: { isUsual: false, runs: 1, run: measureGrowth },
}

const serversSettleMs = 300

function floor(name: string, ...servers: ServerName[]): Bench {
  return {
    isUsual: true,
    async run({ stack, pages }) {
      const serverCpu = watchServers(stack, servers)
      const env = { ...stack.env, BENCH_SHAPE: JSON.stringify(pages.shape) }
      const process = startProcess('test/bench/floors-main.ts', env, [name])
      const done = await process.line((line) => line.msg === 'done')
      // Postgres counts a connection's process when it has ended.
      await sleep(serversSettleMs)
      return {
        pages: Number(done.pages),
        seconds: Number(done.seconds),
        cpuSeconds: Number(done.cpuSeconds),
        serverCpuSeconds: serverCpu(),
        peakRssMb: null,
        details: {},
      }
    },
  }
}
