import { collectDefaultMetrics } from 'prom-client'
import type { Env, ServiceConfig } from './config.ts'
import { ConfigError } from './config.ts'
import { messageOf } from './errors.ts'
import { Health } from './health.ts'
import { openHttpEndpoint } from './http-endpoint.ts'
import { trimWhenIdle } from './idle-heap.ts'
import type { Logger } from './log.ts'
import { openLog } from './log.ts'
import { Scope } from './scope.ts'
import { late, within } from './time-limit.ts'

/**
 * Exit codes of every process.
 *
 * | code | means |
 * |---|---|
 * | 0 | done, or stopped as asked |
 * | 1 | a fault: the orchestrator should start it again |
 * | 2 | wrong configuration or usage: starting it again will not help |
 */
export const exitCodes = { stopped: 0, fault: 1, usage: 2 } as const

/** Limit of a stop: work that has not ended by then is abandoned, which is safe at any time. */
export const stopWithinMs = 9_000

export interface ServiceContext<C> {
  /** Name of the service in its log and on its servers. */
  name: string
  config: C
  scope: Scope
  log: Logger
  health: Health
  /** Aborted when the stop begins. */
  signal: AbortSignal
  /** Ends the process with exit code 1 after an orderly release: for errors in work that no caller awaits. */
  fail: (error: unknown) => void
}

/**
 * Runs one service: reads its configuration, serves health and metrics, and starts it. On SIGTERM or SIGINT it releases
 * in reverse what was opened. No other module ends a service's process.
 *
 * @param start opens and connects the service's parts and returns when they run; a test may call it in its own process
 */
export async function runService<C extends ServiceConfig>(
  name: string,
  readConfig: (env: Env) => C,
  start: (context: ServiceContext<C>) => Promise<void>,
): Promise<void> {
  const config = configOrExit(name, readConfig)
  const log = openLog(name, config.logLevel)
  const scope = new Scope(log)
  const health = new Health()
  const stop = new AbortController()

  const stopping = new Promise<number>((resolve) => {
    const onSignal = (signal: string) => {
      log.info({ signal }, 'stopping')
      resolve(exitCodes.stopped)
    }
    process.once('SIGTERM', onSignal)
    process.once('SIGINT', onSignal)
    const fail = (error: unknown) => {
      log.fatal({ err: error }, 'failed')
      resolve(exitCodes.fault)
    }
    process.on('uncaughtException', fail)
    process.on('unhandledRejection', fail)
    stop.signal.addEventListener('abort', () => resolve(exitCodes.stopped))

    const run = async () => {
      collectDefaultMetrics()
      const endpoint = await scope.use(openHttpEndpoint({ ...config.http, health }))
      await scope.use(trimWhenIdle(), 'idle heap')
      await start({ name, config, scope, log, health, signal: stop.signal, fail })
      log.info({ port: endpoint.port }, 'started')
    }
    run().catch(fail)
  })

  const code = await stopping
  stop.abort()
  const released = (await within(stopWithinMs, scope.close())) !== late
  log.info({ released, code }, 'stopped')
  process.exit(code)
}

function configOrExit<C>(name: string, readConfig: (env: Env) => C): C {
  try {
    return readConfig(process.env)
  } catch (error) {
    console.error(error instanceof ConfigError ? `${name}: ${error.message}` : `${name}: ${messageOf(error)}`)
    process.exit(exitCodes.usage)
  }
}
