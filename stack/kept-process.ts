import { exponentialMs, pause } from '../lib/backoff.ts'
import { createServer, type Server, type ServerSpec } from './infra/server.ts'
import { StackFault } from './infra/stack-fault.ts'

/** A process that is started again whenever it ends by itself. */
export interface KeptProcess {
  /** Resolves when it serves for the first time. */
  readonly firstUp: Promise<void>
  stop(): Promise<void>
  kill(): Promise<void>
}

export interface KeptProcessEvents {
  starting(name: string): void
  up(name: string, tookMs: number): void
  down(name: string, fault: StackFault, againInMs: number): void
  /** Its exit code (2) says that its configuration is wrong: it is not started again. */
  misconfigured(fault: StackFault): void
}

/** Backoff: 1 s, 2 s, 4 s … 30 s; it begins again after a run of more than a minute. */
const backoff = { firstMs: 1_000, longestMs: 30_000 }
const ranWellMs = 60_000
const wrongConfiguration = 2

function keepRunning(spec: Omit<ServerSpec, 'onCrash'>, events: KeptProcessEvents): KeptProcess {
  const stopping = new AbortController()
  const { promise: firstUp, resolve: onFirstUp } = Promise.withResolvers<void>()
  let server: Server | undefined

  /** Runs the process once, from its start to its end. */
  const live = async (): Promise<StackFault> => {
    const { promise: crashed, resolve: onCrash } = Promise.withResolvers<StackFault>()
    server = createServer({ ...spec, onCrash })
    const began = performance.now()
    events.starting(spec.name)
    try {
      await server.start()
    } catch (error) {
      if (error instanceof StackFault) return error
      throw error
    }
    events.up(spec.name, Math.round(performance.now() - began))
    onFirstUp()
    return crashed
  }

  const keep = async () => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      const began = performance.now()
      const fault = await live()
      if (stopping.signal.aborted) return
      if (fault.exitCode === wrongConfiguration) return events.misconfigured(fault)
      failures = performance.now() - began > ranWellMs ? 1 : failures + 1
      const waitMs = exponentialMs(failures, backoff)
      events.down(spec.name, fault, waitMs)
      await pause(waitMs, stopping.signal)
    }
  }
  void keep()

  return {
    firstUp,
    async stop() {
      stopping.abort()
      await server?.stop()
    },
    async kill() {
      stopping.abort()
      await server?.kill()
    },
  }
}

/** Several processes as one, which is up when all are up. */
export function keepAllRunning(specs: Omit<ServerSpec, 'onCrash'>[], events: KeptProcessEvents): KeptProcess {
  const kept = specs.map((spec) => keepRunning(spec, events))
  const together = async (each: (one: KeptProcess) => Promise<void>) => {
    await Promise.all(kept.map(each))
  }
  return {
    firstUp: together((one) => one.firstUp),
    stop: () => together((one) => one.stop()),
    kill: () => together((one) => one.kill()),
  }
}
