import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { addSimulatedUsers, showDeadLetter } from '../simulators/demo-users.ts'
import { writeEnvFile } from './infra/env-file.ts'
import { StackFault } from './infra/stack-fault.ts'
import { startInfra } from './infra/start-infra.ts'
import { type KeptProcessEvents, keepAllRunning } from './kept-process.ts'
import { type NodeProcess, serviceProcesses, toRequiredPort, toSpec } from './services.ts'
import type { StackSettings } from './settings.ts'
import { readSimulation, type Simulation } from './simulation.ts'
import { describeInfra, toColumns } from './view/addresses.ts'
import { watchCounters } from './view/counter-watch.ts'
import { toInfraLine, toSeconds } from './view/infra-line.ts'
import type { View } from './view/view.ts'

/** A running part of the stack. */
export interface Part {
  stop(): Promise<void>
  kill(): Promise<void>
}

export interface Launch {
  settings: StackSettings
  view: View
  /** In the order of their starts; stop them in reverse. */
  parts: Part[]
  /** Aborted when the whole stack must end. */
  signal: AbortSignal
  /** Ends the whole stack with this fault. */
  fail: (fault: StackFault) => void
}

/**
 * Starts one part after the other and resolves when all are up.
 *
 * @throws StackFault, or any error after the signal is aborted; the parts that run by then are in `parts`.
 */
export async function bringUp(launch: Launch): Promise<void> {
  const { view, settings } = launch
  const began = performance.now()
  const services = serviceProcesses(process.env)
  const simulation = settings.simulated ? readSimulation(process.env) : null
  const simulators = simulation
    ? [simulation.spotify, simulation.discord].filter((one) => one !== undefined)
    : []
  view.note(introduction(simulation))

  const env = await startServers(launch, [...services, ...simulators], simulation?.env ?? {})
  await migrate(launch, env)
  if (simulation) {
    await startProcesses(launch, simulators, simulation.simulatorEnv)
    await addSimulatedUsers(simulation.url, env)
  }
  await startProcesses(launch, services, { ...process.env, ...env })
  if (simulation) await showDeadLetter(simulation.url)

  view.note(`\nEverything is up after ${toSeconds(performance.now() - began)}.\n`)
  view.note(`${addresses({ env, services, simulation, settings })}\n`)
  launch.parts.push(watchCounters(services, view))
}

function introduction(simulation: Simulation | null): string {
  return simulation
    ? 'SPOTIFY_CLIENT_ID is not set: simulated listeners at a simulated Spotify.'
    : 'SPOTIFY_CLIENT_ID is set: this is the real Spotify. Add yourself with `npx songswap users connect`.'
}

/** Starts the servers; returns the environment of the services, and writes it to `.data/infra.env` as well. */
async function startServers(
  { settings, view, parts, signal, fail }: Launch,
  processes: NodeProcess[],
  simulationEnv: Record<string, string>,
): Promise<Record<string, string>> {
  const infra = await startInfra({
    ...settings,
    ports: 'documented',
    alsoFree: processes.map(toRequiredPort),
    signal,
    onCrash: fail,
    onProgress(progress) {
      if (progress.type === 'starting') view.starting(progress.name)
      else if (progress.type === 'up') view.up(progress.name, progress.tookMs)
      else view.note(toInfraLine(progress))
    },
  })
  parts.push({ stop: infra.stop, kill: infra.killAll })
  const ownKeys = process.env.TOKEN_ENCRYPTION_KEYS
  const env = {
    ...infra.env,
    ...(ownKeys ? { TOKEN_ENCRYPTION_KEYS: ownKeys } : {}),
    ...simulationEnv,
  }
  writeEnvFile(settings.infraEnvFile, env)
  return env
}

async function migrate({ settings, view, signal }: Launch, env: Record<string, string>): Promise<void> {
  const began = performance.now()
  view.starting('migration')
  try {
    const entry = join(settings.root, 'db', 'migrate.ts')
    await promisify(execFile)(process.execPath, [entry], { env: { ...process.env, ...env }, signal })
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    throw new StackFault(`The migration failed: ${stderr?.trim() || message}`)
  }
  view.up('migration', performance.now() - began)
}

async function startProcesses(
  launch: Launch,
  processes: NodeProcess[],
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const { settings, parts, signal } = launch
  signal.throwIfAborted()
  const specs = processes.map((one) => {
    const port = String(one.port)
    return toSpec(one, { ...settings, env: { ...env, HTTP_PORT: port, PORT: port } })
  })
  const running = keepAllRunning(specs, toEvents(launch))
  parts.push(running)
  await Promise.race([running.firstUp, once(signal, 'abort')])
  signal.throwIfAborted()
}

function toEvents({ view, fail }: Launch): KeptProcessEvents {
  return {
    starting: view.starting,
    up: view.up,
    down: (name, fault, againInMs) => {
      view.note(`${fault.message.split('\n')[0]}. ${name} starts again in ${toSeconds(againInMs)}.`)
    },
    misconfigured: fail,
  }
}

interface Running {
  env: Record<string, string>
  services: NodeProcess[]
  simulation: Simulation | null
  settings: StackSettings
}

function addresses({ env, services, simulation, settings }: Running): string {
  const pages: [string, string][] = simulation?.discord
    ? [['Discord', `http://127.0.0.1:${simulation.discord.port}/  (simulated: alerts show here)`]]
    : []
  return [
    describeInfra(env),
    toColumns([
      ...services.map((one): [string, string] => [one.name, `http://127.0.0.1:${one.port}/metrics`]),
      ...pages,
    ]),
    `Environment for \`npm run service\` and \`npx songswap\`: ${relative(process.cwd(), settings.infraEnvFile)}`,
    'Ctrl-C stops all of it.',
  ].join('\n')
}
