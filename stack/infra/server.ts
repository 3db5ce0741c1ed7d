import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readLogFrom } from './log-tail.ts'
import { forgetPid, recordPid, signalProcess } from './pid-records.ts'
import { StackFault } from './stack-fault.ts'

/** How to run one server as a child process. */
export interface ServerSpec {
  /** Also names the log and the pid file. */
  name: string
  dataDir: string
  command: string
  args: string[]
  env?: NodeJS.ProcessEnv
  cwd?: string
  uid?: number
  gid?: number
  /** Ends it gracefully. */
  stopSignal: NodeJS.Signals
  /** Runs before every start. */
  prepare?: () => void | Promise<void>
  /** True once it serves. Called every 50 ms; a rejection counts as not yet. */
  isReady: (logSinceStart: () => string) => boolean | Promise<boolean>
  /** A failed start with this in its log is tried again, as the fault passes by itself. */
  passingFault?: RegExp
  /** Called if it ends by itself after it was ready. */
  onCrash: (fault: StackFault) => void
}

/** A server process that can be stopped, killed and started again. */
export interface Server {
  readonly name: string
  readonly logFile: string
  /** Of the running process; undefined if none runs. */
  readonly pid: number | undefined
  /** Resolves when it serves. @throws StackFault with the last lines of its log. */
  start(): Promise<void>
  /** Ends it gracefully, or by SIGKILL after ten seconds. */
  stop(): Promise<void>
  /** Sends a signal; resolves when the process has ended (for SIGSTOP and SIGCONT: at once). */
  kill(signal?: NodeJS.Signals): Promise<void>
}

const readyWithinMs = 90_000
const stopWithinMs = 10_000
const rotateLogAtBytes = 10 * 1024 * 1024

/** If a bug ends the launcher before it stops its servers, they end with it. */
const alive = new Set<number>()
process.on('exit', () => {
  for (const pid of alive) signalProcess(pid, 'SIGKILL')
})

/** How a process ended. */
interface End {
  text: string
  exitCode: number | null
}

interface Running {
  child: ChildProcess
  pid: number
  ended: Promise<End>
  hasEnded: boolean
  /** Set before we end it: then its end does not count as a crash. */
  expected: boolean
  logOffset: number
}

export function createServer(spec: ServerSpec): Server {
  const logFile = join(spec.dataDir, 'logs', `${spec.name}.log`)
  let running: Running | undefined
  let stopped = false

  const end = async (signal: NodeJS.Signals) => {
    const current = running
    if (!current || current.hasEnded) return
    current.expected = true
    signalProcess(current.pid, signal)
    await current.ended
  }

  return {
    name: spec.name,
    logFile,
    get pid() {
      return running?.hasEnded ? undefined : running?.pid
    },
    async start() {
      stopped = false
      for (let attempt = 1; ; attempt++) {
        await spec.prepare?.()
        if (stopped) throw new StackFault(`${spec.name} was stopped before it had started.`)
        running = launch(spec, logFile)
        const fault = await failureToStart(spec, running, logFile)
        if (!fault) return watchForCrash(spec, running, logFile)
        await end('SIGKILL')
        const passes = spec.passingFault?.test(readLogFrom(logFile, running.logOffset)) && attempt < 20
        if (!passes || stopped) throw fault
        await delay(250)
      }
    },
    async stop() {
      stopped = true
      if (!running || running.hasEnded) return
      running.expected = true
      // A stopped process does not see the other signal; a running one ignores this.
      signalProcess(running.pid, 'SIGCONT')
      const timer = setTimeout(() => void end('SIGKILL'), stopWithinMs)
      await end(spec.stopSignal)
      clearTimeout(timer)
    },
    async kill(signal = 'SIGKILL') {
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') {
        stopped = true
        return end(signal)
      }
      if (running && !running.hasEnded) signalProcess(running.pid, signal)
    },
  }
}

/**
 * Starts the process in a session of its own: Ctrl-C at the terminal reaches only the launcher, which then ends
 * the servers in order.
 */
function launch(spec: ServerSpec, logFile: string): Running {
  mkdirSync(join(spec.dataDir, 'logs'), { recursive: true })
  const logOffset = rotateLog(logFile)
  const log = openSync(logFile, 'a')
  const child = spawn(spec.command, spec.args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: spec.env ?? process.env,
    ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    ...(spec.uid === undefined ? {} : { uid: spec.uid }),
    ...(spec.gid === undefined ? {} : { gid: spec.gid }),
  })
  closeSync(log)
  const { promise: ended, resolve } = Promise.withResolvers<End>()
  const running: Running = { child, pid: child.pid ?? 0, ended, hasEnded: false, expected: false, logOffset }
  const onEnd = (text: string, exitCode: number | null = null) => {
    if (running.hasEnded) return
    running.hasEnded = true
    alive.delete(running.pid)
    forgetPid(spec.dataDir, spec.name)
    resolve({ text, exitCode })
  }
  child.once('error', (error) => onEnd(`could not be started (${error.message})`))
  child.once('exit', (code, signal) =>
    onEnd(signal ? `was ended by ${signal}` : `ended with exit code ${code}`, code),
  )
  if (child.pid !== undefined) {
    alive.add(child.pid)
    recordPid(spec.dataDir, spec.name, child.pid)
  }
  return running
}

/** Rotates a large log. Returns the offset at which the output of this start begins. */
function rotateLog(logFile: string): number {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0
  if (size < rotateLogAtBytes) return size
  renameSync(logFile, `${logFile}.1`)
  return 0
}

async function failureToStart(
  spec: ServerSpec,
  running: Running,
  logFile: string,
): Promise<StackFault | null> {
  const deadline = performance.now() + readyWithinMs
  while (performance.now() < deadline) {
    if (running.hasEnded) return fault(spec, logFile, await running.ended)
    const ready = await Promise.resolve()
      .then(() => spec.isReady(() => readLogFrom(logFile, running.logOffset)))
      .catch(() => false)
    // If our process has ended meanwhile, another one on its port answered.
    if (ready && !running.hasEnded) return null
    await delay(50)
  }
  return fault(spec, logFile, { text: `was not ready within ${readyWithinMs / 1000} s`, exitCode: null })
}

function watchForCrash(spec: ServerSpec, running: Running, logFile: string): void {
  void running.ended.then((how) => {
    if (!running.expected) spec.onCrash(fault(spec, logFile, how))
  })
}

function fault(spec: ServerSpec, logFile: string, how: End): StackFault {
  const lines = readLogFrom(logFile, 0).trimEnd().split('\n').slice(-5)
  const tail = lines.map((line) => `\n  ${line.slice(0, 300)}`).join('')
  return new StackFault(`${spec.name} ${how.text}. Log: ${logFile}${tail}`, how.exitCode)
}
