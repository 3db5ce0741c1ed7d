import { join } from 'node:path'
import { nodeEnv, nodeFlags } from '../services/node-flags.ts'
import { portSetting, type RequiredPort } from './infra/ports.ts'
import type { ServerSpec } from './infra/server.ts'

/** A Node process of the stack and its port on loopback. */
export interface NodeProcess {
  name: string
  /** Relative to the repository. */
  entry: string
  port: number
  /** Name of the variable that sets another port. */
  setting: string
  /** It is up when this answers with 200. */
  readyPath: string
}

/** The services with their documented ports, overridable by STACK_POLLER_PORT and so on. */
export function serviceProcesses(env: NodeJS.ProcessEnv): NodeProcess[] {
  return ['poller', 'archiver', 'loader', 'enricher', 'alerter'].map((name, index) => {
    const setting = `STACK_${name.toUpperCase()}_PORT`
    const port = portSetting(env, setting, 19101 + index)
    return { name, entry: `services/${name}/main.ts`, port, setting, readyPath: '/healthz' }
  })
}

export function toRequiredPort({ name, port, setting }: NodeProcess): RequiredPort {
  return { port, what: name, setting }
}

export function toSpec(
  { name, entry, port, readyPath }: NodeProcess,
  options: { root: string; dataDir: string; env: NodeJS.ProcessEnv },
): Omit<ServerSpec, 'onCrash'> {
  return {
    name,
    dataDir: options.dataDir,
    command: process.execPath,
    args: [...nodeFlags, join(options.root, entry)],
    cwd: options.root,
    // Compiled once: later starts are faster and do not load the TypeScript compiler.
    env: { ...nodeEnv, NODE_COMPILE_CACHE: join(options.dataDir, 'compile-cache'), ...options.env },
    stopSignal: 'SIGTERM',
    isReady: async () => (await fetch(`http://127.0.0.1:${port}${readyPath}`)).ok,
  }
}
