import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findFreePorts } from '../../stack/infra/ports.ts'

const run = promisify(execFile)

export const root = join(import.meta.dirname, '..', '..')

/** One container as `docker compose ps` shows it. */
export interface Container {
  id: string
  name: string
  service: string
  state: string
  /** Empty without a health check. */
  health: string
  exitCode: number
}

/** A project of containers, with ports and volumes of its own. */
export interface Project {
  ports: { kafka: number; registry: number; s3: number; postgres: number; spotify: number; discord: number }
  /** Runs `docker compose` and returns its standard output. @throws with its standard error in the message */
  compose(...args: string[]): Promise<string>
  /** All containers, also ended ones. */
  containers(): Promise<Container[]>
  /** The text of a file in a container. */
  read(service: string, file: string): Promise<string>
}

export interface ProjectOptions {
  name: string
  files?: string[]
  /** Settings in place of `.env`: the developer's own file is not read. */
  env?: Record<string, string>
}

/** Prepares a project without starting it. */
export async function createProject({ name, files = [], env = {} }: ProjectOptions): Promise<Project> {
  const [kafka = 0, registry = 0, s3 = 0, postgres = 0, spotify = 0, discord = 0, kafka2, kafka3] =
    await findFreePorts(8)
  const settings = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    STACK_KAFKA_PORT: String(kafka),
    STACK_KAFKA_2_PORT: String(kafka2),
    STACK_KAFKA_3_PORT: String(kafka3),
    STACK_REGISTRY_PORT: String(registry),
    STACK_S3_PORT: String(s3),
    STACK_POSTGRES_PORT: String(postgres),
    STACK_SPOTIFY_PORT: String(spotify),
    STACK_DISCORD_PORT: String(discord),
    ...env,
  }
  const base = ['compose', '--env-file', '/dev/null', '--project-name', name, '--progress', 'quiet']
  const from = ['docker-compose.yaml', ...files].flatMap((file) => ['--file', file])
  const compose: Project['compose'] = async (...args) => {
    const { stdout } = await run('docker', [...base, ...from, ...args], {
      cwd: root,
      env: settings,
      maxBuffer: 256 << 20,
    })
    return stdout
  }
  return {
    ports: { kafka, registry, s3, postgres, spotify, discord },
    compose,
    read: (service, file) => compose('exec', '-T', service, 'cat', file),
    async containers() {
      const lines = (await compose('ps', '--all', '--no-trunc', '--format', 'json'))
        .split('\n')
        .filter(Boolean)
      return lines.map((line) => toContainer(JSON.parse(line)))
    },
  }
}

function toContainer(one: Record<string, string & number>): Container {
  return {
    id: one.ID ?? '',
    name: one.Name ?? '',
    service: one.Service ?? '',
    state: one.State ?? '',
    health: one.Health ?? '',
    exitCode: one.ExitCode ?? 0,
  }
}

/** Runs `docker` and returns its standard output. */
export async function docker(...args: string[]): Promise<string> {
  return (await run('docker', args, { maxBuffer: 64 << 20 })).stdout
}
