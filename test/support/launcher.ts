import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseEnv } from 'node:util'
import { onTestFinished, vi } from 'vitest'
import { findFreePorts } from '../../stack/infra/ports.ts'
import { processIdentity } from '../../stack/infra/process-identity.ts'
import { makeDataDir } from './infra.ts'

type Launcher = ChildProcessWithoutNullStreams

const portSettings = ['KAFKA', 'CONTROLLER', 'REGISTRY', 'S3', 'POSTGRES', 'SPOTIFY', 'DISCORD'].concat([
  'POLLER',
  'ARCHIVER',
  'LOADER',
  'ENRICHER',
  'ALERTER',
])

/**
 * A launcher of the stack as a process of its own, on free ports and in its own folder. Process and folder end with
 * the test.
 *
 * @param entry `stack/infra.ts` or `stack/start.ts`
 */
export async function stackInEmptyFolder(entry: string, ownSettings: Record<string, string> = {}) {
  const folder = makeDataDir()
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const ports = await findFreePorts(portSettings.length)
  const settings: Record<string, string> = {
    STACK_DATA_DIR: folder,
    ...Object.fromEntries(portSettings.map((name, index) => [`STACK_${name}_PORT`, String(ports[index])])),
    ...ownSettings,
  }
  const launch = (command = process.execPath, args = [entry]): Launcher => {
    // An empty value counts as unset and overrides the developer's own .env.
    const none = { SPOTIFY_CLIENT_ID: '', DISCORD_WEBHOOK_URL: '', TOKEN_ENCRYPTION_KEYS: '' }
    const launcher = spawn(command, args, { env: { ...process.env, ...none, ...settings } })
    onTestFinished(() => end(launcher))
    return launcher
  }
  const pidFiles = () => {
    const run = join(folder, 'run')
    return existsSync(run) ? readdirSync(run).filter((file) => file.endsWith('.pid')) : []
  }
  return {
    folder,
    settings,
    launch,
    /** Resolves when everything is up. */
    async start(): Promise<Launcher> {
      const launcher = launch()
      await outputHolds(launcher, 'Ctrl-C stops')
      return launcher
    },
    env: () => parseEnv(readFileSync(join(folder, 'infra.env'), 'utf8')),
    /** Pids of the processes that the launcher runs. */
    pids: () => pidFiles().flatMap((file) => pidIn(join(folder, 'run', file)) ?? []),
    pid(name: string): number {
      const pid = pidIn(join(folder, 'run', `${name}.pid`))
      if (pid === null) throw new Error(`${name} does not run`)
      return pid
    },
  }
}

/** The pids whose processes still run. */
export function running(pids: number[]): number[] {
  return pids.filter((pid) => processIdentity(pid) !== null)
}

/** Exit code and standard error of a launcher. */
export async function outcomeOf(launcher: Launcher): Promise<{ code: unknown; stderr: string }> {
  const [[code], stderr] = await Promise.all([once(launcher, 'exit'), text(launcher.stderr)])
  return { code, stderr }
}

async function end(launcher: ChildProcess): Promise<void> {
  if (launcher.exitCode !== null || launcher.signalCode !== null) return
  launcher.kill('SIGTERM')
  await once(launcher, 'exit')
}

async function outputHolds(launcher: Launcher, wanted: string): Promise<void> {
  let output = ''
  let ended = false
  launcher.once('exit', () => {
    ended = true
  })
  for (const stream of [launcher.stdout, launcher.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  await vi.waitUntil(() => ended || output.includes(wanted), { timeout: 110_000, interval: 50 })
  if (ended) throw new Error(`The launcher ended: ${output}`)
}

/** Null if its process has just ended. */
function pidIn(file: string): number | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).pid
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
