import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import { openUpkeepLead } from '../../services/poller/upkeep-lead.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'

let stream: Stream
let postgres: Postgres

beforeAll(async () => {
  stream = await createStream()
  const url = new Secret(stream.env.DATABASE_URL ?? '')
  postgres = openPostgres({ url, connections: 4, name: 'test', log: stream.log })
})
afterAll(async () => {
  await postgres.close()
  await stream.release()
})

test('of many pollers one looks at all users; the others read what it found, and one takes over when it goes', async () => {
  const leads = Array.from({ length: 5 }, () => openUpkeepLead(postgres, 60_000))
  const holders = async () => {
    const held = await Promise.all(leads.map((lead) => lead.hold()))
    return leads.filter((_, i) => held[i])
  }
  const [first, ...more] = await holders()
  expect(more).toEqual([])
  expect(await holders()).toEqual([first])
  await first?.shareActiveUsers(7)
  await Promise.all(leads.filter((lead) => lead !== first).map((lead) => lead.shareActiveUsers(99)))
  expect(await Promise.all(leads.map((lead) => lead.readActiveUsers()))).toEqual([7, 7, 7, 7, 7])
  await first?.release()
  const others = leads.filter((lead) => lead !== first)
  expect(await others[0]?.hold()).toBe(true)
  expect(await first?.hold()).toBe(false)
})

test('a leading poller that was killed is followed when its time is over', async () => {
  await postgres.query('delete from poller_upkeep')
  const [killed, next] = [openUpkeepLead(postgres, 60_000), openUpkeepLead(postgres, 60_000)]
  expect(await killed.hold()).toBe(true)
  expect(await next.hold()).toBe(false)
  await postgres.query(`update poller_upkeep set held_until = held_until - interval '60 s'`)
  expect(await next.hold()).toBe(true)
})
