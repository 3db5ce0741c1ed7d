import { describe, expect, test } from 'vitest'
import { from, RetriableError } from './errors.ts'
import type { Notice } from './events.ts'
import { Outages } from './outages.ts'

const postgres = { name: 'postgres', probe: async () => undefined }
const down = () => from(postgres, new Error('password authentication failed for postgres://me:hunter2@db/x'))
const loader = (partition: number) => ({ name: 'loader.history', place: `pages/${partition}` })
const poller = { name: 'poller', place: null }

function open() {
  const clock = { now: 0 }
  const notices: Notice[] = []
  const outages = new Outages({
    afterMs: 300,
    instance: 'loader@a/1',
    notify: (n) => notices.push(n),
    now: () => clock.now,
  })
  const states = () => notices.map(({ type, subject, state }) => [type, subject, state ?? 'raised'])
  return { clock, notices, outages, states }
}

const raised = ['dependency_down', 'server:postgres', 'raised']
const resolved = ['dependency_down', 'server:postgres', 'resolved']

describe('an outage', () => {
  test('raises one event when it has lasted, and one when it is over, however many wait', () => {
    const { clock, notices, outages, states } = open()
    for (let attempt = 0; attempt < 10; attempt++, clock.now += 100) {
      for (const waiter of [loader(0), loader(1), poller]) outages.failed(waiter, down())
    }
    expect(states()).toEqual([raised])
    expect(notices[0]?.message).toContain('loader.history, poller')
    expect(notices[0]?.message).toContain('password authentication failed')
    expect(notices[0]?.message).not.toContain('hunter2')
    outages.worked(loader(0))
    outages.worked(poller)
    expect(states()).toEqual([raised])
    outages.worked(loader(1))
    expect(states()).toEqual([raised, resolved])
  })

  test('of less than that raises nothing, and begins again with the next failure', () => {
    const { clock, outages, states } = open()
    for (let round = 0; round < 5; round++) {
      outages.failed(poller, down())
      clock.now += 299
      outages.failed(poller, down())
      outages.worked(poller)
    }
    expect(states()).toEqual([])
  })

  test('goes on while one partition waits, though its neighbours work', () => {
    const { clock, outages, states } = open()
    for (let attempt = 0; attempt < 5; attempt++, clock.now += 100) {
      outages.failed(loader(0), down())
      outages.worked(loader(1))
    }
    expect(states()).toEqual([raised])
  })

  test('outlasts a rebalance; a partition that has gone elsewhere does not keep it open', () => {
    const { clock, outages, states } = open()
    outages.failed(loader(0), down())
    clock.now = 200
    outages.keep('loader.history', ['pages/0'])
    clock.now = 301
    outages.failed(loader(0), down())
    expect(states()).toEqual([raised])
    outages.keep('loader.history', ['pages/5'])
    expect(states()).toEqual([raised])
    // An idle moment of another partition proves nothing.
    outages.worked(loader(5))
    expect(states()).toEqual([raised])
    outages.worked(loader(5), true)
    expect(states()).toEqual([raised, resolved])
  })

  test('of nobody knows what is that of the group; a wait that says its end is none', () => {
    const { clock, outages, states } = open()
    for (clock.now = 0; clock.now < 1_000; clock.now += 100) {
      outages.failed(loader(0), new TypeError('x is not a function'))
      outages.failed(poller, new RetriableError('rate limit', { retryAfterMs: 5 }))
    }
    expect(states()).toEqual([['dependency_down', 'group:loader.history', 'raised']])
  })

  test('is over when the server refuses what was sent: it answers', () => {
    const { clock, outages, states } = open()
    outages.failed(poller, down())
    clock.now = 400
    outages.failed(poller, down())
    const refusal = Object.assign(new Error('null value in a column'), { code: '23502' })
    for (; clock.now < 2_000; clock.now += 100) outages.failed(poller, from(postgres, refusal))
    expect(states()).toEqual([raised, resolved])
  })

  test('is reported again every five minutes while it lasts, and is said to be unknown when the process stops', () => {
    const { clock, notices, outages } = open()
    for (; clock.now <= 900_000; clock.now += 10_000) outages.failed(poller, down())
    expect(notices.map(({ details }) => details?.repeated)).toEqual([undefined, '1', '2'])
    for (const { details } of notices)
      expect(details).toMatchObject({ instance: 'loader@a/1', repeatSeconds: '300' })
    outages.failed(
      { name: 'loader.history', place: null },
      from({ ...postgres, name: 'kafka' }, new Error('x')),
    )
    outages.close()
    expect(notices.slice(3)).toMatchObject([
      { subject: 'server:postgres', state: 'resolved', details: { instance: 'loader@a/1', end: 'stopped' } },
    ])
    expect(notices.at(-1)?.message).toContain('is not known')
    outages.close()
    expect(notices).toHaveLength(4)
  })

  test('of a place that cannot be read names it, and ends when the place is read, not when its neighbours work', () => {
    const { clock, notices, outages, states } = open()
    const reader = { ...loader(3), type: 'partition_unreadable' as const }
    for (; clock.now <= 400; clock.now += 100) {
      outages.failed(reader, new RetriableError('pages/3/17: a checksum is wrong'))
      outages.worked(loader(3))
      outages.worked(loader(4), true)
    }
    const unreadable = ['partition_unreadable', 'partition:loader.history/pages/3']
    expect(states()).toEqual([[...unreadable, 'raised']])
    expect(notices[0]?.message).toContain('loader.history has not been able to read pages/3/17: a checksum')
    outages.worked(reader)
    expect(states()).toEqual([
      [...unreadable, 'raised'],
      [...unreadable, 'resolved'],
    ])
  })

  describe('of a record that holds up its partition', () => {
    const heldUp = ['record_held_up', 'partition:loader.history/pages/3']
    const record = { offset: 17, words: 'bug', message: 'loader.history does not get past', details: {} }

    test('is reported at once and every ten minutes, and ends when the partition is past it', () => {
      const { clock, outages, states } = open()
      for (; clock.now < 1_300_000; clock.now += 10_000) outages.heldUp(loader(3), record)
      const raised = [...heldUp, 'raised']
      expect(states()).toEqual([raised, raised, raised])
      outages.worked(loader(3), true)
      outages.passed(loader(3), 16)
      outages.passed(loader(4), 17)
      expect(states()).toHaveLength(3)
      outages.passed(loader(3), 17)
      expect(states()).toEqual([raised, raised, raised, [...heldUp, 'resolved']])
    })

    test('ends here when its partition moves, which does not say that it is past', () => {
      const { notices, outages } = open()
      outages.heldUp(loader(3), record)
      outages.keep('loader.history', ['pages/3', 'pages/4'])
      expect(notices).toHaveLength(1)
      outages.keep('loader.history', ['pages/4'])
      expect(notices[1]).toMatchObject({ state: 'resolved', details: { end: 'moved', repeatSeconds: '600' } })
      outages.heldUp(loader(3), record)
      expect(notices).toHaveLength(3)
    })
  })

  test('is said by the health report while it lasts', () => {
    const { clock, outages } = open()
    expect(outages.report()).toMatchObject({ alive: true, ready: true })
    outages.failed(poller, down())
    clock.now = 400
    outages.failed(poller, down())
    expect(outages.report()).toMatchObject({ alive: true, ready: false })
    expect(outages.report().detail).toContain('server:postgres fails for 0 s: password authentication failed')
    outages.worked(poller)
    expect(outages.report()).toMatchObject({ ready: true })
  })
})
