import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { metricOf } from './metric-of.ts'
import { until } from './until.ts'

/** A service as a process, as operators run it. It is killed at the end of its test. */
export interface ServiceProcess {
  /** Every line of its log. */
  lines: Record<string, unknown>[]
  /** Sum of a metric's series that have all of `labels`; 0 without any. */
  metric(name: string, labels?: Record<string, string>): Promise<number>
  /** Status of `/healthz` or `/readyz`. */
  probe(path: '/healthz' | '/readyz'): Promise<number>
  /** Resolves when it has ended, in any way. */
  ended: Promise<void>
  /** Sends a signal and waits for the end; returns the exit code, or null after a kill. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>
}

const running = new Set<ChildProcess>()

/** Kills every running service: for hooks that release a world, to which services are still connected. */
export async function killServices(): Promise<void> {
  await Promise.all([...running].map((child) => end(child, 'SIGKILL')))
}

/**
 * Starts `services/NAME/main.ts` and resolves when it logs that it has started.
 *
 * @param preload modules that are loaded first, as `node --import` does
 */
export async function spawnService(
  name: string,
  env: Record<string, string>,
  preload: readonly URL[] = [],
): Promise<ServiceProcess> {
  const main = fileURLToPath(new URL(`../../services/${name}/main.ts`, import.meta.url))
  const child = spawn(process.execPath, [...preload.flatMap((url) => ['--import', url.href]), main], {
    env: { PATH: process.env.PATH, LOG_LEVEL: 'info', ...env, HTTP_PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  onTestFinished(async () => void (await end(child, 'SIGKILL')))
  const lines = collectLines(child)
  const port = await until(() => {
    if (child.exitCode !== null) throw new Error(`${name} has exited: ${JSON.stringify(lines.slice(-5))}`)
    return lines.find((line) => line.msg === 'started')?.port
  }, `${name} has started`)
  const read = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)

  return {
    lines,
    ended: once(child, 'exit').then(() => undefined),
    metric: async (metric, labels) => metricOf(await (await read('/metrics')).text(), metric, labels),
    probe: async (path) => (await read(path)).status,
    end: (signal) => end(child, signal),
  }
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
  running.delete(child)
  const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null
  child.kill(signal)
  await exited
  return child.exitCode
}

function collectLines(child: ChildProcess): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = []
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue
    createInterface({ input: stream }).on('line', (line) => lines.push(toEntry(line)))
  }
  return lines
}

function toEntry(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line)
  } catch {
    return { msg: line }
  }
}
