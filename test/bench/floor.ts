import { setTimeout as sleep } from 'node:timers/promises'
import type { Load } from './load.ts'
import type { Measurement } from './measure.ts'
import { watchServers } from './measure.ts'
import { startProcess } from './service.ts'
import type { ServerName } from './stack.ts'

const serversSettleMs = 300

/** Runs one of the floors in its own process. */
export async function measureFloor(
  { stack, pages }: Load,
  name: string,
  servers: readonly ServerName[] = [],
): Promise<Measurement> {
  const serverCpu = watchServers(stack, servers)
  const env = { ...stack.env, BENCH_SHAPE: JSON.stringify(pages.shape) }
  const process = startProcess('test/bench/floors-main.ts', env, [name])
  const done = await process.line((line) => line.msg === 'done')
  // The CPU of a connection's process counts for Postgres only after its end.
  await sleep(serversSettleMs)
  return {
    pages: Number(done.pages),
    seconds: Number(done.seconds),
    cpuSeconds: Number(done.cpuSeconds),
    serverCpuSeconds: serverCpu(),
    peakRssMb: null,
    details: {},
  }
}
