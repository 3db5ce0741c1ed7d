import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { forgetPid, recordPid } from '../../stack/infra/pid-records.ts'

export const serviceNames = ['poller', 'archiver', 'loader', 'enricher', 'alerter'] as const
export type ServiceName = (typeof serviceNames)[number]

/** An orchestrator's wait before it starts a process again. */
const restartMs = 500
const stopWithinMs = 20_000

/**
 * The real service processes. Like an orchestrator it starts a process again that has ended. Faults kill, freeze
 * and scale them.
 */
export class Fleet {
  readonly #env: Record<string, string>
  readonly #log: number
  readonly #dataDir: string
  readonly #wanted = new Map<ServiceName, number>()
  readonly #running = new Map<ServiceName, Set<ChildProcess>>(serviceNames.map((n) => [n, new Set()]))
  readonly #deaths: string[] = []
  #stopping = false

  /** @param options.dataDir records the processes, so that a killed run leaves none behind */
  constructor(options: { env: Record<string, string>; logDir: string; dataDir: string }) {
    this.#env = options.env
    this.#dataDir = options.dataDir
    this.#log = openSync(join(options.logDir, 'services.log'), 'w')
  }

  /** Ends that no fault ordered: crashes of a service itself. */
  get unexpectedDeaths(): readonly string[] {
    return this.#deaths
  }

  /** Sets the number of a service's processes; surplus ones are stopped gracefully. */
  async scale(name: ServiceName, processes: number): Promise<void> {
    this.#wanted.set(name, processes)
    const running = this.#of(name)
    while (running.size < processes) this.#start(name)
    await Promise.all([...running].slice(processes).map((child) => this.#end(child, 'SIGTERM')))
  }

  /** Sends a signal to every process of a service; one that it kills is started again. */
  signal(name: ServiceName, signal: NodeJS.Signals): void {
    for (const child of this.#of(name)) {
      if (signal === 'SIGKILL') ordered.add(child)
      child.kill(signal)
    }
  }

  /** Stops everything gracefully. @throws if a process has to be killed or does not exit with 0 */
  async stop(): Promise<void> {
    this.#stopping = true
    const children = [...this.#running.values()].flatMap((set) => [...set])
    const codes = await Promise.all(children.map((child) => this.#end(child, 'SIGTERM')))
    closeSync(this.#log)
    if (codes.some((code) => code !== 0))
      throw new Error(`Not every service stopped in good order: ${codes.join(', ')}`)
  }

  kill(): void {
    this.#stopping = true
    for (const set of this.#running.values()) for (const child of set) child.kill('SIGKILL')
  }

  #of(name: ServiceName): Set<ChildProcess> {
    const set = this.#running.get(name)
    if (!set) throw new Error(`no service ${name}`)
    return set
  }

  #start(name: ServiceName): void {
    const preload = join(import.meta.dirname, 'preload-clock.ts')
    const child = spawn(
      process.execPath,
      ['--import', preload, join(import.meta.dirname, '../../services', name, 'main.ts')],
      {
        env: { PATH: process.env.PATH, LOG_LEVEL: 'info', ...this.#env, HTTP_PORT: '0' },
        stdio: ['ignore', this.#log, this.#log],
      },
    )
    this.#of(name).add(child)
    const { pid } = child
    if (pid !== undefined) recordPid(this.#dataDir, `${name}-${pid}`, pid)
    child.once(
      'exit',
      (code, signal) => void this.#onExit(name, child, `${name}: code ${code}, signal ${signal}`),
    )
  }

  async #onExit(name: ServiceName, child: ChildProcess, end: string): Promise<void> {
    this.#of(name).delete(child)
    forgetPid(this.#dataDir, `${name}-${child.pid}`)
    if (this.#stopping) return
    if (!ordered.has(child)) this.#deaths.push(end)
    await delay(restartMs)
    if (!this.#stopping && this.#of(name).size < (this.#wanted.get(name) ?? 0)) this.#start(name)
  }

  async #end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
    ordered.add(child)
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
    const exited = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), stopWithinMs)
    await exited
    clearTimeout(timer)
    return child.exitCode
  }
}

/** Processes whose end was ordered. */
const ordered = new WeakSet<ChildProcess>()
