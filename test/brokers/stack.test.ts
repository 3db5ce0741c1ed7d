import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { Client } from 'pg'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { outcomeOf, running, stackInEmptyFolder } from '../support/launcher.ts'

const patience = { timeout: 60_000, interval: 20 }

describe('npm run infra', { timeout: 150_000 }, () => {
  test('a start after a hard kill recovers: data and schema ids are there, and nothing is left running', async () => {
    const stack = await stackInEmptyFolder('stack/infra.ts')
    const killed = await stack.start()
    const id = await registerSchema(stack.env())
    await onDatabase(stack.env(), 'CREATE TABLE kept AS SELECT 7 AS value')
    const orphans = stack.pids()
    expect(orphans).toHaveLength(4)
    killed.kill('SIGKILL')
    await once(killed, 'exit')

    const next = await stack.start()
    expect(running(orphans)).toEqual([])
    expect(await registerSchema(stack.env())).toBe(id)
    expect(await onDatabase(stack.env(), 'SELECT value FROM kept')).toEqual([{ value: 7 }])

    const children = stack.pids()
    next.kill('SIGINT')
    expect(await once(next, 'exit')).toEqual([0, null])
    expect(running(children)).toEqual([])
    expect(stack.pids()).toEqual([])
  })

  test('a server that ends takes the others along, and one line names it and its log', async () => {
    const stack = await stackInEmptyFolder('stack/infra.ts')
    const launcher = await stack.start()
    const children = stack.pids()
    const outcome = outcomeOf(launcher)
    process.kill(stack.pid('s3'), 'SIGKILL')
    const { code, stderr } = await outcome
    expect(code).toBe(1)
    expect(stderr.split('\n')[0]).toBe(
      `s3 was ended by SIGKILL. Log: ${join(stack.folder, 'logs', 's3.log')}`,
    )
    expect(running(children)).toEqual([])
  })

  test('a second start in the same folder names the pid of the first and harms nothing', async () => {
    const stack = await stackInEmptyFolder('stack/infra.ts')
    const first = await stack.start()
    const { code, stderr } = await outcomeOf(stack.launch())
    expect(code).toBe(1)
    expect(stderr).toBe(
      `The stack already runs in ${stack.folder} (pid ${first.pid}): use that, or stop it.\n`,
    )
    expect(await onDatabase(stack.env(), 'SELECT 1 AS value')).toEqual([{ value: 1 }])
  })

  test('a taken port is one line that names the port and the setting', async () => {
    const stack = await stackInEmptyFolder('stack/infra.ts')
    const stranger = await listenOn(Number(stack.settings.STACK_S3_PORT))
    onTestFinished(() => void stranger.close())
    const { code, stderr } = await outcomeOf(stack.launch())
    expect(code).toBe(1)
    expect(stderr).toBe(
      `Port ${stack.settings.STACK_S3_PORT} for the S3 server is taken: stop what listens there, or choose another port with STACK_S3_PORT.\n`,
    )
    expect(stack.pids()).toEqual([])
  })

  test('ending npm ends what it started', async () => {
    const stack = await stackInEmptyFolder('stack/infra.ts')
    const npm = stack.launch('npm', ['run', 'infra'])
    await vi.waitUntil(() => stack.pids().length >= 2, patience)
    const children = stack.pids()
    npm.kill('SIGTERM')
    await once(npm, 'exit')
    await vi.waitUntil(() => running(children).length === 0, patience)
    await vi.waitUntil(() => stack.pids().length === 0, patience)
  })

  test('Ctrl-C while the servers start leaves none behind', async () => {
    const stack = await stackInEmptyFolder('stack/infra.ts')
    const launcher = stack.launch()
    await vi.waitUntil(() => stack.pids().length >= 2, patience)
    const children = stack.pids()
    launcher.kill('SIGINT')
    await once(launcher, 'exit')
    expect(running(children)).toEqual([])
    expect(stack.pids()).toEqual([])
  })
})

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
