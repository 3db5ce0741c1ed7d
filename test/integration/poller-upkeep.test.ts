import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Postgres } from '../../lib/postgres.ts'
import { openUpkeepLead } from '../../services/poller/upkeep-lead.ts'
import type { TestDatabase } from '../support/database.ts'
import { createDatabase } from '../support/database.ts'

let database: TestDatabase
let postgres: Postgres

beforeAll(async () => {
  database = await createDatabase()
  postgres = database.openPostgres(4)
})
afterAll(async () => {
  await database.release()
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
