import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { nodeEnv, nodeFlags } from '../../services/node-flags.ts'
import { metricOf } from '../support/metric-of.ts'

/** A line of a process's log. */
export type LogLine = Readonly<Record<string, unknown>>

/** A measured process of this repository. */
export interface Service {
  readonly pid: number
  /** Every JSON line that it has written. */
  readonly lines: readonly LogLine[]
  /** Resolves with the first line, past or future, that fits. @throws if the process ends before it */
  line(fits: (line: LogLine) => boolean): Promise<LogLine>
  /** Text of its `/metrics`. */
  metrics(): Promise<string>
  /** Sends SIGTERM and waits for the end. @throws unless the exit code is 0 */
  stop(): Promise<void>
}

const running = new Set<Service>()

const fileOf = (entry: string) => fileURLToPath(new URL(`../../${entry}`, import.meta.url))
/** As in `npm start` and in the image: later starts do not load the TypeScript compiler. */
const compileCache = { NODE_COMPILE_CACHE: fileOf('.data/compile-cache') }

/** Fills the compile cache with a service's modules; without its settings the service ends at once. */
export function compile(entry: string): void {
  spawnSync(process.execPath, [...nodeFlags, fileOf(entry)], { env: compileCache, stdio: 'ignore' })
}

/** Ends the processes that a failed benchmark left running. */
export async function stopServices(): Promise<void> {
  await Promise.all([...running].map((service) => service.stop().catch(() => undefined)))
}

/** @param entry relative to the repository, e.g. `services/loader/main.ts` */
export function startProcess(entry: string, env: Record<string, string>, args: string[] = []): Service {
  const flags = process.env.BENCH_NODE_FLAGS?.split(' ').filter(Boolean) ?? []
  const child = spawn(process.execPath, [...nodeFlags, ...flags, fileOf(entry), ...args], {
    env: { PATH: process.env.PATH, ...nodeEnv, ...compileCache, ...env, HTTP_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: LogLine[] = []
  const waiting = new Set<() => void>()
  let ended = false
  const wake = () => {
    for (const check of waiting) check()
  }
  const exited = once(child, 'exit').finally(() => {
    ended = true
    running.delete(service)
    wake()
  })
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(toLine(text))
    wake()
  })
  const service: Service = {
    pid: child.pid ?? 0,
    lines,
    line: (fits) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const found = lines.find(fits)
          if (!found && !ended) return
          waiting.delete(check)
          if (found) resolve(found)
          else reject(new Error(`${entry} has ended: ${JSON.stringify(lines.slice(-3))}`))
        }
        waiting.add(check)
        check()
      }),
    async metrics() {
      const { port } = await service.line((line) => line.msg === 'started')
      return (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    },
    async stop() {
      child.kill('SIGTERM')
      const [code] = await exited
      if (code !== 0) throw new Error(`${entry} ended with ${code}: ${JSON.stringify(lines.slice(-3))}`)
    },
  }
  running.add(service)
  return service
}

function toLine(text: string): LogLine {
  try {
    return JSON.parse(text)
  } catch {
    return { msg: text }
  }
}

/** Estimates a quantile from a histogram's buckets as Prometheus does: values are spread evenly in a bucket. */
export function histogramQuantile(text: string, name: string, share: number): number {
  const pattern = new RegExp(`^${name}_bucket\\{le="([^"]+)"\\} (\\d+)`, 'gm')
  const buckets = [...text.matchAll(pattern)].map(([, le, n]) => ({ le: Number(le), n: Number(n) }))
  const rank = share * metricOf(text, `${name}_count`)
  const at = buckets.findIndex(({ n }) => n >= rank)
  const below = buckets[at - 1] ?? { le: 0, n: 0 }
  const bucket = buckets[at] ?? { le: Number.NaN, n: 0 }
  return below.le + ((bucket.le - below.le) * (rank - below.n)) / (bucket.n - below.n)
}
