import { ConfigError, type Env } from '../lib/config.ts'
import { messageOf } from '../lib/errors.ts'
import { exitCodes } from '../lib/lifecycle.ts'
import { openLog } from '../lib/log.ts'

/**
 * Runs a simulator as a process that logs JSON lines; SIGTERM and SIGINT stop it. A wrong configuration (all its
 * faults at once) or a taken port is reported and sets the exit code.
 */
export async function runSimulator<Options extends { host: string; port: number }>(simulator: {
  name: string
  readOptions(env: Env): Options
  start(options: Options): Promise<{ url: string; stop(): Promise<void> }>
}): Promise<void> {
  const log = openLog(simulator.name, 'info')
  try {
    const options = simulator.readOptions(process.env)
    const running = await simulator.start(options)
    log.info({ url: running.url }, 'started')
    const stop = (signal: NodeJS.Signals) => {
      log.info({ signal }, 'stopping')
      void running.stop().then(() => log.info('stopped'))
    }
    process.once('SIGTERM', stop)
    process.once('SIGINT', stop)
  } catch (error) {
    if (error instanceof ConfigError) console.error(`${simulator.name}: ${error.message}`)
    else log.fatal({ reason: toReason(error) }, 'start_failed')
    process.exitCode = error instanceof ConfigError ? exitCodes.usage : exitCodes.fault
  }
}

function toReason(error: unknown): string {
  const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
  return taken ? `${messageOf(error)}: another process has this port; set PORT to another` : messageOf(error)
}
