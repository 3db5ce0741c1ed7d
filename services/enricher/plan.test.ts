import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MetadataKind } from '../../lib/topology.ts'
import type { PlanOptions } from './plan.ts'
import { planBatch, unanswerable } from './plan.ts'
import type { Ticket } from './ticket.ts'
import {
  afterFailure,
  countFailure,
  deferralMs,
  givenUpAfter,
  retryMs,
  toDeferredTicket,
  toTicket,
} from './ticket.ts'

function ticket(kind: MetadataKind, id: string, more: Partial<Ticket> = {}): Ticket {
  const record = { topic: 't', partition: 0, offset: 0, timestamp: 0, key: null, headers: [], bytes: null }
  return { ...toTicket({ kind, id, key: `${kind}:${id}`, requestedAt: 0 }, record, 0), ...more }
}

const artists = (count: number, more: Partial<Ticket> = {}) =>
  Array.from({ length: count }, (_, i) => ticket('artist', `a${i}`, more))

const options: PlanOptions = {
  source: 'spotify',
  provider: 'auto',
  refused: new Set(),
  lingerMs: 1_000,
  now: 10_000,
}

const idsOf = (tickets: Iterable<Ticket>, more: Partial<PlanOptions> = {}) => {
  const plan = planBatch(tickets, { ...options, ...more })
  return plan.type === 'ask' ? plan.tickets.map((t) => t.wanted.id) : plan
}

describe('a batch', () => {
  test('is full at the limit of its kind', () => {
    expect(idsOf(artists(60))).toHaveLength(50)
    expect(idsOf(artists(60), { refused: new Set(['artists.batch']) })).toEqual(['a0'])
  })

  test('is asked before it is full once its oldest has waited long enough', () => {
    expect(idsOf(artists(3, { since: 9_500 }))).toEqual({ type: 'wait', forMs: 500 })
    expect(idsOf(artists(3, { since: 9_000 }))).toHaveLength(3)
    expect(idsOf([...artists(2, { since: 9_900 }), ticket('artist', 'x', { since: 9_900 })])).toEqual({
      type: 'wait',
      forMs: 900,
    })
  })

  test('does not wait when it is full, or when alone is all there is', () => {
    expect(idsOf(artists(50, { since: 10_000 }))).toHaveLength(50)
    expect(idsOf(artists(2, { since: 10_000 }), { refused: new Set(['artists.batch']) })).toEqual(['a0'])
  })

  test('is of one kind; one that is ready does not wait for one that is not', () => {
    const mixed = [ticket('artist', 'a', { since: 9_900 }), ticket('track', 't', { since: 8_000 })]
    expect(idsOf(mixed)).toEqual(['t'])
  })

  test('holds every ticket of an id, and counts ids', () => {
    const twice = [...artists(50), ...artists(50)]
    expect(idsOf(twice)).toHaveLength(100)
  })

  test('puts what failed behind what did not, and in smaller batches the more often it failed', () => {
    expect(idsOf([ticket('artist', 'bad', { attempts: 3 }), ...artists(3)])).toEqual(['a0', 'a1', 'a2'])
    expect(idsOf(artists(60, { attempts: 1 }))).toHaveLength(50)
    expect(idsOf(artists(60, { attempts: 2 }))).toHaveLength(12)
    expect(idsOf(artists(60, { attempts: 3 }))).toHaveLength(1)
    expect(idsOf(artists(60, { attempts: 9 }))).toHaveLength(1)
  })

  test('is of the kind whose tickets have failed least often, whichever came first', () => {
    const mixed = [ticket('artist', 'bad', { attempts: 1 }), ticket('track', 't')]
    expect(idsOf(mixed)).toEqual(['t'])
    expect(idsOf(mixed, { failedFirst: true })).toEqual(['bad'])
  })

  test('holds nothing that failed a moment ago', () => {
    const bad = ticket('artist', 'bad', { attempts: 1, notBefore: 12_000 })
    expect(idsOf([bad])).toEqual({ type: 'wait', forMs: 2_000 })
    expect(idsOf([bad, ticket('artist', 'a')])).toEqual(['a'])
    expect(idsOf([bad], { now: 12_000 })).toEqual(['bad'])
  })

  test('is nothing when nothing waits', () => {
    expect(idsOf([])).toEqual({ type: 'wait', forMs: null })
    expect(idsOf([ticket('audio-features', 'x')], { provider: 'reccobeats' })).toEqual({
      type: 'wait',
      forMs: null,
    })
  })
})

test('every ticket is for exactly one source or for nobody', () => {
  const kind = fc.constantFrom<MetadataKind>('track', 'artist', 'audio-features')
  const provider = fc.constantFrom('auto', 'spotify', 'reccobeats', 'none')
  const refused = fc.uniqueArray(fc.constantFrom('artists.single', 'tracks.batch', 'audio-features.spotify'))
  fc.assert(
    fc.property(fc.array(kind), provider, refused, (kinds, by, closed) => {
      const tickets = kinds.map((k, i) => ticket(k, `i${i}`))
      const context = { provider: by as 'auto', refused: new Set(closed as 'tracks.batch'[]) }
      const open = new Set(tickets)
      for (const t of unanswerable(tickets, context)) open.delete(t)
      for (const source of ['spotify', 'reccobeats'] as const) {
        for (;;) {
          const plan = planBatch(open, { ...options, ...context, source })
          if (plan.type === 'wait') break
          for (const t of plan.tickets) expect(open.delete(t)).toBe(true)
        }
      }
      expect(open.size).toBe(0)
    }),
  )
})

describe('a failure', () => {
  test('during an outage gives up nothing, however long it lasts', () => {
    const t = ticket('artist', 'a')
    for (let i = 0; i < 1_000; i++) expect(countFailure(t, { successes: 5, works: i === 0 })).toBe(false)
  })

  test('of a deferred lookup during an outage of weeks forgets nothing, while one of its own counts', () => {
    let attempts = 5
    const askAgain = (works: boolean) => {
      const t = toDeferredTicket(ticket('artist', 'a').wanted, { attempts, now: 0 })
      countFailure(t, { successes: 0, works })
      attempts = t.attempts
      return afterFailure(t)
    }
    for (let i = 0; i < 1_000; i++) expect(askAgain(false)).toBe('defer')
    const own = Array.from({ length: 10 }, () => askAgain(true))
    expect(own).toEqual([...Array.from({ length: 9 }, () => 'defer'), 'forget'])
  })

  test('again and again while others succeed gives up the ticket', () => {
    const t = ticket('artist', 'a')
    const given = Array.from({ length: givenUpAfter }, (_, i) =>
      countFailure(t, { successes: i, works: true }),
    )
    expect(given.indexOf(true)).toBe(givenUpAfter - 1)
  })
})

test('one artist that always fails holds up none of a hundred tracks, and leaves its partition soon', () => {
  const bad = ticket('artist', 'bad')
  const open = new Set([bad, ...Array.from({ length: 100 }, (_, i) => ticket('track', `t${i}`))])
  const refused = new Set(['tracks.batch', 'artists.batch'] as const)
  let [now, requests, successes, blame] = [10_000, 0, 0, 0]
  for (; open.size > 0; requests++) {
    const plan = planBatch(open, { ...options, refused, now })
    if (plan.type === 'wait') {
      now += plan.forMs ?? 0
      continue
    }
    const [asked] = plan.tickets
    if (asked !== bad) {
      successes += 1
      if (asked) open.delete(asked)
      continue
    }
    blame += 1
    // The other tickets are all answered before this one is asked for a second time.
    if (blame === 2) expect(open.size).toBe(1)
    if (countFailure(bad, { successes, works: true }) || afterFailure(bad) === 'defer') open.delete(bad)
    else bad.notBefore = now + retryMs(bad.attempts)
  }
  expect(successes).toBe(100)
  expect(blame).toBe(4)
  expect(requests).toBeLessThan(110)
  expect(now).toBeLessThan(60_000)
})

test('a lookup that always fails is asked for a dozen times in a week, and then forgotten', () => {
  const bad = ticket('artist', 'bad', { attempts: 4 })
  let [now, asked] = [0, 0]
  for (; afterFailure(bad) === 'defer'; asked++) {
    now += deferralMs(bad.attempts, 600_000)
    bad.attempts += 1
  }
  expect(asked).toBe(11)
  expect(now / 86_400_000).toBeGreaterThan(3)
  expect(now / 86_400_000).toBeLessThan(8)
})
