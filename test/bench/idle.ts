import { setTimeout as sleep } from 'node:timers/promises'
import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import { metricOf } from '../support/metric-of.ts'
import type { Load } from './load.ts'
import type { Measurement } from './measure.ts'
import { expectEqual, untilDone } from './measure.ts'
import type { Service } from './service.ts'
import { compile, startProcess } from './service.ts'
import { addUsers, startAnswerer } from './spotify.ts'
import { cpuSeconds, rssMb } from './usage.ts'

const names = ['poller', 'archiver', 'loader', 'enricher', 'alerter'] as const
const quietUsers = 10
/** The work of a start (compiling, joining, the first polls) is over by then. */
const settleMs = 20_000
const watchMs = 60_000
let runs = 0

/** All services at once, with ten users who play nothing: CPU over a minute, and memory. */
export async function measureIdle({ stack, pages }: Load): Promise<Measurement> {
  const { topics: _, ...prefix } = await stack.freshTopics(`idle-${++runs}`)
  const database = await stack.freshDatabase()
  const answerer = await startAnswerer({ ...pages.shape, pages: quietUsers, users: quietUsers })
  const sql = openPostgres({
    ...{ url: new Secret(database.DATABASE_URL), connections: 1, name: 'bench', log: stack.log },
  })
  await addUsers(sql, stack, { due: quietUsers, idle: 0 })
  await sql.close()
  const env = { ...stack.env, ...prefix, ...database, ...answerer.env, LOG_LEVEL: 'info' }
  for (const name of names) compile(entryOf(name))
  const services = names.map((name) => startProcess(entryOf(name), env))
  await Promise.all(services.map((service) => service.line((line) => line.msg === 'started')))
  const [poller] = services
  await untilDone('the quiet users are polled', async () => (await polls(poller)) >= quietUsers)
  await sleep(settleMs)

  const before = services.map((service) => cpuSeconds(service.pid))
  await sleep(watchMs)
  const used = services.map((service, i) => cpuSeconds(service.pid) - (before[i] ?? 0))
  const details: Record<string, number> = {}
  for (const [i, name] of names.entries()) {
    details[`${name}MsPerS`] = ((used[i] ?? 0) * 1e6) / watchMs
    details[`${name}Mb`] = rssMb(services[i]?.pid ?? 0)
  }
  expectEqual('Polls of quiet users', await polls(poller), quietUsers)
  await Promise.all([...services, answerer.process].map((service) => service.stop()))
  await stack.dropDatabase(database.DATABASE_URL)
  return {
    ...{ pages: 0, seconds: watchMs / 1000, cpuSeconds: used.reduce((a, b) => a + b, 0) },
    ...{ serverCpuSeconds: {}, peakRssMb: null, details },
  }
}

function entryOf(name: string): string {
  return `services/${name}/main.ts`
}

async function polls(poller: Service | undefined): Promise<number> {
  return poller ? metricOf(await poller.metrics(), 'songswap_polls_total') : 0
}
