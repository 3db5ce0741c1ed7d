import { register } from 'prom-client'
import { onTestFinished } from 'vitest'
import type { Env, ServiceConfig } from '../../lib/config.ts'
import { Health } from '../../lib/health.ts'
import type { ServiceContext } from '../../lib/lifecycle.ts'
import { openLog } from '../../lib/log.ts'
import { Scope } from '../../lib/scope.ts'
import { metricOf } from './metric-of.ts'

/** A service in this process. It is stopped at the end of its test. */
export interface InProcessService {
  /** Every line of its log. */
  lines: Record<string, unknown>[]
  health: Health
  /** Errors that would end its process. */
  failures: unknown[]
  /** As `ServiceProcess.metric`, since the last start of a service in this process. */
  metric(name: string, labels?: Record<string, string>): Promise<number>
  /** Status of `/healthz` or `/readyz`. */
  probe(path: '/healthz' | '/readyz'): Promise<number>
  /** Stops it as SIGTERM does. */
  stop(): Promise<void>
}

/** Reads a service's configuration and starts it in this process. */
type Launch = (env: Env, context: Omit<ServiceContext<never>, 'config'>) => Promise<void>

const launches = {
  poller: async () =>
    toLaunch(
      (await import('../../services/poller/config.ts')).readConfig,
      (await import('../../services/poller/poller.ts')).startPoller,
    ),
  archiver: async () =>
    toLaunch(
      (await import('../../services/archiver/config.ts')).readConfig,
      (await import('../../services/archiver/archiver.ts')).startArchiver,
    ),
  loader: async () =>
    toLaunch(
      (await import('../../services/loader/config.ts')).readConfig,
      (await import('../../services/loader/loader.ts')).startLoader,
    ),
  enricher: async () =>
    toLaunch(
      (await import('../../services/enricher/config.ts')).readConfig,
      (await import('../../services/enricher/enricher.ts')).startEnricher,
    ),
  alerter: async () =>
    toLaunch(
      (await import('../../services/alerter/config.ts')).readConfig,
      (await import('../../services/alerter/alerter.ts')).startAlerter,
    ),
}

function toLaunch<C extends ServiceConfig>(
  readConfig: (env: Env) => C,
  start: (context: ServiceContext<C>) => Promise<void>,
): Launch {
  return (env, context) => start({ ...context, config: readConfig(env) })
}

const running = new Set<InProcessService>()

/** Stops every running service: for hooks that release a world, to which services are still connected. */
export async function stopServices(): Promise<void> {
  await Promise.all([...running].map((service) => service.stop()))
}

/** Starts a service in this process; resolves when it runs. */
export async function startService(
  name: keyof typeof launches,
  env: Record<string, string>,
): Promise<InProcessService> {
  const lines: Record<string, unknown>[] = []
  const log = openLog(name, env.LOG_LEVEL ?? 'info', { write: (line) => void lines.push(JSON.parse(line)) })
  const scope = new Scope(log)
  const health = new Health()
  const failures: unknown[] = []
  const ending = new AbortController()
  register.resetMetrics()

  const service: InProcessService = {
    ...{ lines, health, failures },
    metric: async (metric, labels) => metricOf(await register.metrics(), metric, labels),
    probe: async (path) => {
      const { alive, ready } = health.report()
      return alive && (path === '/healthz' || ready) ? 200 : 503
    },
    async stop() {
      running.delete(service)
      ending.abort()
      await scope.close()
    },
  }
  running.add(service)
  onTestFinished(() => service.stop())
  const launch = await launches[name]()
  const context = { name, scope, log, health, signal: ending.signal }
  await launch(env, { ...context, fail: (error) => void failures.push(error) })
  return service
}
