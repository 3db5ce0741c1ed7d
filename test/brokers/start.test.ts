import { once } from 'node:events'
import { Client } from 'pg'
import { expect, test, vi } from 'vitest'
import { running, stackInEmptyFolder } from '../support/launcher.ts'

const patience = { timeout: 100_000, interval: 250 }

test('npm start shows plays, artists, objects and a dead letter, goes on after a kill, and leaves nothing behind', {
  timeout: 400_000,
}, async () => {
  const stack = await stackInEmptyFolder('stack/start.ts', { ARCHIVE_OBJECT_AGE_SECONDS: '2' })
  const first = await stack.start()
  const env = stack.env()
  await vi.waitUntil(async () => (await count(env, 'plays')) >= 1_000, patience)
  await vi.waitUntil(async () => (await count(env, "artists where metadata_status = 'found'")) > 0, patience)
  await vi.waitUntil(
    async () => (await metric(stack.settings, 'ARCHIVER', 'archive_objects_total')) > 0,
    patience,
  )
  await vi.waitUntil(async () => (await discordMessages(stack.settings)).includes('Dead letter'), patience)
  const plays = await count(env, 'plays')

  const orphans = stack.pids()
  first.kill('SIGKILL')
  await once(first, 'exit')
  const second = await stack.start()
  expect(running(orphans)).toEqual([])
  expect(await count(env, 'users')).toBe(30)
  expect(await count(env, 'plays')).toBeGreaterThanOrEqual(plays)
  await vi.waitUntil(async () => (await metric(stack.settings, 'POLLER', 'polls_total')) > 0, patience)

  const children = stack.pids()
  expect(children).toHaveLength(11)
  second.kill('SIGINT')
  expect(await once(second, 'exit')).toEqual([0, null])
  expect(running(children)).toEqual([])
  expect(stack.pids()).toEqual([])
})

async function count(env: NodeJS.Dict<string>, from: string): Promise<number> {
  const client = new Client({ connectionString: env.DATABASE_URL })
  await client.connect()
  try {
    const { rows } = await client.query(`select count(*)::int as count from ${from}`)
    return rows[0].count
  } finally {
    await client.end()
  }
}

async function metric(settings: Record<string, string>, service: string, name: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${settings[`STACK_${service}_PORT`]}/metrics`)
  const samples = (await response.text()).matchAll(new RegExp(`^songswap_${name}.* (\\d+)$`, 'gm'))
  return [...samples].reduce((sum, [, value]) => sum + Number(value), 0)
}

async function discordMessages(settings: Record<string, string>): Promise<string> {
  return (await fetch(`http://127.0.0.1:${settings.STACK_DISCORD_PORT}/_sim/messages`)).text()
}
