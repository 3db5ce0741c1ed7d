import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RetriableError } from '../../lib/errors.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import type { MetadataRequest } from '../../lib/topology.ts'
import { TicketPool } from './pool.ts'
import { openWantedSink } from './sink.ts'

function request(offset: number, id = String(offset).padStart(22, '0')): DecodedRecord<MetadataRequest> {
  const record = {
    topic: 'metadata.wanted',
    partition: 0,
    offset,
    timestamp: 0,
    bytes: Buffer.alloc(0),
    headers: [],
  }
  const value = { kind: 'artist', id, requestedAt: 0 }
  return { ...record, key: Buffer.from(`artist:${id}`), decoded: { type: 'value', value, writer: null } }
}

const open = (pool: TicketPool, signal = new AbortController().signal) =>
  openWantedSink({ pool, group: 'enricher', signal })

test('a request over which the check itself fails is a dead letter, and holds up no other', async () => {
  const pool = new TicketPool()
  const odd = request(1)
  // A foreign schema may produce this: no field has its declared type.
  const value = { kind: 7, id: null } as unknown as MetadataRequest
  const records = [
    request(0),
    { ...odd, decoded: { type: 'value' as const, value, writer: null } },
    request(2),
  ]
  const { deadLetters } = await open(pool).write(records)
  expect(deadLetters.map((d) => [d.record.offset, d.reason])).toEqual([[1, 'handler_error']])
  expect([...pool.open].map((t) => t.record?.offset)).toEqual([0, 2])
})

const step = fc.oneof(
  fc.record({ write: fc.integer({ min: 1, max: 20 }), gap: fc.nat({ max: 3 }) }),
  fc.record({ finish: fc.array(fc.nat({ max: 40 })), bad: fc.boolean() }),
)

test('the offset moves up to the first open request, and every dead letter is told once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const pool = new TicketPool()
      const sink = open(pool)
      let next = 100
      let through = 99
      const told: number[] = []
      const buried: number[] = []
      for (const s of steps) {
        if ('finish' in s) {
          const tickets = [...pool.open].filter((_, i) => s.finish.includes(i))
          pool.finish(tickets, s.bad ? { reason: 'lookup_failed', message: '' } : null)
          if (s.bad) buried.push(...tickets.map((t) => t.record?.offset ?? -1))
        }
        next += 'gap' in s ? s.gap : 0
        const batch = 'write' in s ? Array.from({ length: s.write }, () => request(next++)) : null
        const settled = await (batch ? sink.write(batch) : sink.tick())
        told.push(...settled.deadLetters.map((d) => d.record.offset))
        if (settled.through !== null) {
          expect(settled.through).toBeGreaterThan(through)
          through = settled.through
        }
        const first = Math.min(...[...pool.open].map((t) => t.record?.offset ?? -1))
        expect(through).toBeLessThan(first)
      }
      pool.finish([...pool.open])
      const last = await sink.tick()
      if (next > 100 && through < next - 1) expect(last.through).toBe(next - 1)
      expect(told.toSorted()).toEqual(buried.toSorted())
    }),
  )
})

test('a lost partition takes its open requests back', async () => {
  const pool = new TicketPool()
  const [one, other] = [open(pool), open(pool)]
  await one.write([request(0)])
  await other.write([request(1)])
  await one.close()
  expect([...pool.open].map((t) => t.record?.offset ?? -1)).toEqual([1])
})

test('a full window takes nothing in, and gives up waiting at once when the term ends', async () => {
  const pool = new TicketPool()
  const term = new AbortController()
  const sink = open(pool, term.signal)
  await sink.write(Array.from({ length: 500 }, (_, i) => request(i)))
  const refused = sink.write([request(500)])
  term.abort()
  await expect(refused).rejects.toBeInstanceOf(RetriableError)
  expect([...pool.open]).toHaveLength(500)
})

test('a batch waits for room while requests are being answered', async () => {
  const pool = new TicketPool()
  const sink = open(pool)
  await sink.write(Array.from({ length: 500 }, (_, i) => request(i)))
  const writing = sink.write([request(500)])
  pool.finish([...pool.open].slice(0, 10))
  await expect(writing).resolves.toEqual({ through: 9, deadLetters: [] })
})
