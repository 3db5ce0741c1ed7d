import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseEnv } from 'node:util'
import { Client } from 'pg'
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { freePorts } from '../../stack/infra/ports.ts'
import { processIdentity } from '../../stack/infra/process-identity.ts'
import { makeDataDir } from '../support/infra.ts'
import { createWorld } from '../support/world.ts'

describe('the servers of a test run', () => {
  test('Postgres is version 18 and keeps UTF-8', async () => {
    const client = new Client({ connectionString: inject('infra').DATABASE_URL })
    await client.connect()
    onTestFinished(() => client.end())
    const { rows } = await client.query(
      "SELECT current_setting('server_version_num')::int AS version, 'ü'::text AS text",
    )
    expect(rows[0].version).toBeGreaterThanOrEqual(180_000)
    expect(rows[0].text).toBe('ü')
  })

  test('the registry speaks the Confluent API', async () => {
    const response = await fetch(`${inject('infra').SCHEMA_REGISTRY_URL}/subjects`)
    expect(response.status).toBe(200)
    expect(await response.json()).toBeInstanceOf(Array)
  })

  test('the S3 server turns unsigned requests away', async () => {
    const { S3_ENDPOINT, S3_BUCKET } = inject('infra')
    expect((await fetch(`${S3_ENDPOINT}/${S3_BUCKET}`)).status).toBe(403)
  })

  test('a world whose pool was left open says so when it is released', async () => {
    const world = await createWorld()
    const leaked = new Client({ connectionString: world.env.DATABASE_URL })
    leaked.on('error', () => {})
    await leaked.connect()
    await expect(world.release()).rejects.toThrow('left open')
  })
})

describe('npm run infra', () => {
  test('a start after a hard kill recovers: data and schema ids are there, and nothing is left running', async () => {
    const stack = await stackInEmptyFolder()
    const killed = await stack.start()
    const id = await registerSchema(stack.env())
    await onDatabase(stack.env(), 'CREATE TABLE kept AS SELECT 7 AS value')
    const orphans = stack.pids()
    expect(orphans).toHaveLength(4)
    killed.kill('SIGKILL')
    await once(killed, 'exit')

    const next = await stack.start()
    expect(orphans.filter((pid) => processIdentity(pid) !== null)).toEqual([])
    expect(await registerSchema(stack.env())).toBe(id)
    expect(await onDatabase(stack.env(), 'SELECT value FROM kept')).toEqual([{ value: 7 }])

    const children = stack.pids()
    next.kill('SIGINT')
    expect(await once(next, 'exit')).toEqual([0, null])
    expect(children.filter((pid) => processIdentity(pid) !== null)).toEqual([])
    expect(stack.pids()).toEqual([])
  })

  test('a server that ends takes the others along, and one line names it and its log', async () => {
    const stack = await stackInEmptyFolder()
    const launcher = await stack.start()
    const children = stack.pids()
    const outcome = outcomeOf(launcher)
    process.kill(stack.pid('s3'), 'SIGKILL')
    const { code, stderr } = await outcome
    expect(code).toBe(1)
    expect(stderr.split('\n')[0]).toBe(
      `s3 was ended by SIGKILL. Log: ${join(stack.folder, 'logs', 's3.log')}`,
    )
    expect(children.filter((pid) => processIdentity(pid) !== null)).toEqual([])
  })

  test('a second start in the same folder names the pid of the first and harms nothing', async () => {
    const stack = await stackInEmptyFolder()
    const first = await stack.start()
    const { code, stderr } = await outcomeOf(stack.launch())
    expect(code).toBe(1)
    expect(stderr).toBe(
      `The stack already runs in ${stack.folder} (pid ${first.pid}): use that, or stop it.\n`,
    )
    expect(await onDatabase(stack.env(), 'SELECT 1 AS value')).toEqual([{ value: 1 }])
  })

  test('a taken port is one line that names the port and the setting', async () => {
    const stack = await stackInEmptyFolder()
    const stranger = await listenOn(Number(stack.settings.STACK_S3_PORT))
    onTestFinished(() => void stranger.close())
    const { code, stderr } = await outcomeOf(stack.launch())
    expect(code).toBe(1)
    expect(stderr).toBe(
      `Port ${stack.settings.STACK_S3_PORT} for the S3 server is taken: stop what listens there, or choose another port with STACK_S3_PORT.\n`,
    )
    expect(stack.pids()).toEqual([])
  })

  test('Ctrl-C while the servers start leaves none behind', async () => {
    const stack = await stackInEmptyFolder()
    const launcher = stack.launch()
    await vi.waitUntil(() => stack.pids().length >= 2, { timeout: 20_000, interval: 20 })
    const children = stack.pids()
    launcher.kill('SIGINT')
    await once(launcher, 'exit')
    expect(children.filter((pid) => processIdentity(pid) !== null)).toEqual([])
    expect(stack.pids()).toEqual([])
  })

  /** The launcher as a process of its own, on free ports, in a folder that no one else has. */
  async function stackInEmptyFolder() {
    const folder = makeDataDir()
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const ports = await freePorts(1)
    const settings = {
      STACK_DATA_DIR: folder,
      STACK_KAFKA_PORT: String(ports.kafka[0]),
      STACK_CONTROLLER_PORT: String(ports.controller[0]),
      STACK_REGISTRY_PORT: String(ports.registry),
      STACK_S3_PORT: String(ports.s3),
      STACK_POSTGRES_PORT: String(ports.postgres),
    }
    const launch = () => {
      const launcher = spawn(process.execPath, ['stack/infra.ts'], { env: { ...process.env, ...settings } })
      onTestFinished(() => end(launcher))
      return launcher
    }
    return {
      folder,
      settings,
      launch,
      /** Resolves when all servers are up. */
      async start() {
        const launcher = launch()
        await outputHolds(launcher, 'Ctrl-C stops')
        return launcher
      },
      env: () => parseEnv(readFileSync(join(folder, 'infra.env'), 'utf8')),
      pids: () => pidFiles(folder).map((file) => pidIn(join(folder, 'run', file))),
      pid: (name: string) => pidIn(join(folder, 'run', `${name}.pid`)),
    }
  }
})

async function outcomeOf(
  launcher: ChildProcessWithoutNullStreams,
): Promise<{ code: unknown; stderr: string }> {
  const [[code], stderr] = await Promise.all([once(launcher, 'exit'), text(launcher.stderr)])
  return { code, stderr }
}

async function end(launcher: ChildProcess): Promise<void> {
  if (launcher.exitCode !== null || launcher.signalCode !== null) return
  launcher.kill('SIGTERM')
  await once(launcher, 'exit')
}

async function outputHolds(launcher: ChildProcess, wanted: string): Promise<void> {
  let output = ''
  let ended = false
  launcher.once('exit', () => {
    ended = true
  })
  for (const stream of [launcher.stdout, launcher.stderr]) {
    stream?.on('data', (chunk) => {
      output += chunk
    })
  }
  await vi.waitUntil(() => ended || output.includes(wanted), { timeout: 50_000, interval: 50 })
  if (ended) throw new Error(`The launcher ended: ${output}`)
}

function pidFiles(folder: string): string[] {
  const run = join(folder, 'run')
  return existsSync(run) ? readdirSync(run).filter((file) => file.endsWith('.pid')) : []
}

function pidIn(file: string): number {
  return JSON.parse(readFileSync(file, 'utf8')).pid
}

async function registerSchema(env: NodeJS.Dict<string>): Promise<number> {
  const response = await fetch(`${env.SCHEMA_REGISTRY_URL}/subjects/kept-value/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify({ type: 'record', name: 'Kept', fields: [] }) }),
  })
  const { id } = (await response.json()) as { id: number }
  return id
}

async function onDatabase(env: NodeJS.Dict<string>, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: env.DATABASE_URL })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

async function listenOn(port: number): Promise<Server> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
