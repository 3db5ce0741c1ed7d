import { expect, onTestFinished, test } from 'vitest'
import { overRecords, RetriableError } from '../../lib/errors.ts'
import { Health } from '../../lib/health.ts'
import { openLog } from '../../lib/log.ts'
import { until } from '../../test/support/until.ts'
import type { Looked } from './lookup.ts'
import { openLookupWorker } from './lookup-worker.ts'
import { TicketPool } from './pool.ts'
import type { PublishedEntity } from './publish.ts'
import type { Ticket } from './ticket.ts'
import { toTicket } from './ticket.ts'

const record = { topic: 't', partition: 0, offset: 0, timestamp: 0, key: null, headers: [], bytes: null }

const tickets = (...ids: string[]): Ticket[] =>
  ids.map((id) =>
    toTicket({ kind: 'artist', id, key: `artist:${id}`, requestedAt: 0 }, record, performance.now()),
  )

const found = (ids: readonly string[]): Looked => ({
  type: 'answers',
  answers: new Map(ids.map((id) => [id, { status: 200, body: Buffer.from(id), fetchedAt: 1 }])),
})

interface World {
  pool: TicketPool
  asked: string[]
  published: string[]
  deferred: string[]
  failures: unknown[]
}

/** A worker whose source is a function. Shows which ids are asked for and how their tickets end. */
function open(
  look: (ids: readonly string[]) => Looked,
  publish: (entities: readonly PublishedEntity[]) => void = () => undefined,
): World {
  const world: World = { pool: new TicketPool(), asked: [], published: [], deferred: [], failures: [] }
  const worker = openLookupWorker({
    source: 'spotify',
    lookup: {
      look: async (_kind, ids) => {
        world.asked.push(ids.join(' '))
        return look(ids)
      },
    },
    pool: world.pool,
    capabilities: {
      refused: async () => new Set(),
      refuse: async () => undefined,
      confirm: async () => undefined,
    },
    deferred: {
      defer: async (list) => void world.deferred.push(...list.map((t) => t.wanted.id)),
      takeDue: async () => [],
      forget: async () => undefined,
    },
    provider: 'auto',
    lingerMs: 0,
    readStoredAnswers: async () => new Set(),
    publish: async (entities) => {
      publish(entities)
      world.published.push(...entities.map((e) => e.wanted.id))
    },
    health: new Health(),
    outages: { failed: () => undefined, worked: () => undefined },
    log: openLog('test', 'silent'),
    fail: (error) => world.failures.push(error),
  })
  onTestFinished(() => worker.close())
  return world
}

const allDone = (list: readonly Ticket[]) =>
  until(() => list.every((t) => t.state === 'done'), 'all are done')

test('an answer that Kafka did not take is published again, and not asked for again', async () => {
  let refusals = 2
  const world = open(found, () => {
    if (refusals-- > 0) throw new RetriableError('Kafka is away')
  })
  const list = tickets('a', 'b')
  world.pool.add(list)
  await allDone(list)
  expect(world.asked).toEqual(['a b'])
  expect(world.published).toEqual(['a', 'b'])
})

test('an answer that Kafka will never take is a dead letter and holds up nobody', async () => {
  const world = open(found, (entities) => {
    const refusal = Object.assign(new Error('too large'), { type: 'MESSAGE_TOO_LARGE' })
    if (entities.some((e) => e.wanted.id === 'huge')) throw refusal
  })
  const list = tickets('a', 'huge', 'b')
  world.pool.add(list)
  await allDone(list)
  expect(world.published).toEqual(['a', 'b'])
  expect(list.map((t) => t.deadLetter?.reason ?? null)).toEqual([null, 'lookup_failed', null])
})

test('a bug is blamed on the id that brings it about, alone', async () => {
  const world = open((ids) => {
    return overRecords(() => {
      if (ids.includes('bad')) throw new TypeError('bug')
      return found(ids)
    })
  })
  const list = tickets('a', 'bad', 'b')
  world.pool.add(list)
  await allDone(list)
  expect(world.published.toSorted()).toEqual(['a', 'b'])
  expect(list.map((t) => t.deadLetter?.reason ?? null)).toEqual([null, 'handler_error', null])
  expect(world.failures).toEqual([])
})

test('ids that a batch left without an answer are asked for in smaller ones', async () => {
  const world = open((ids) => (ids.length > 1 ? { type: 'answers', answers: new Map() } : found(ids)))
  const list = tickets('a', 'b', 'c')
  world.pool.add(list)
  await allDone(list)
  expect(world.asked).toEqual(['a b c', 'a b c', 'a', 'b', 'c'])
})

test('what fails holds up nobody: the others are asked before it is asked again', async () => {
  const world = open((ids) => (ids.includes('bad') ? { type: 'failed', reason: '500' } : found(ids)))
  const bad = toTicket(
    { kind: 'artist', id: 'bad', key: 'artist:bad', requestedAt: 0 },
    record,
    performance.now(),
  )
  const others = ['a', 'b', 'c'].map((id) =>
    toTicket({ kind: 'track', id, key: `track:${id}`, requestedAt: 0 }, record, performance.now()),
  )
  world.pool.add([bad, ...others])
  await allDone(others)
  expect(world.asked).toEqual(['bad', 'a b c'])
  expect(bad.state).toBe('open')
})

test('what has failed four times is deferred, and its request is done', async () => {
  const world = open(() => ({ type: 'failed', reason: '500' }))
  const list = tickets('bad')
  for (const ticket of list) ticket.attempts = 3
  world.pool.add(list)
  await allDone(list)
  expect(world.deferred).toEqual(['bad'])
  expect(list.map((t) => t.deadLetter)).toEqual([null])
})

test('a pause is kept', async () => {
  let paused = true
  const world = open((ids) => {
    const looked: Looked = paused ? { type: 'paused', reason: 'a pause', forMs: 300 } : found(ids)
    paused = false
    return looked
  })
  const list = tickets('a')
  const started = performance.now()
  world.pool.add(list)
  await allDone(list)
  expect(performance.now() - started).toBeGreaterThanOrEqual(299)
  expect(world.asked).toEqual(['a', 'a'])
})
