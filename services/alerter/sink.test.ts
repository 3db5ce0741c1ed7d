import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RetriableError } from '../../lib/errors.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import { openLog } from '../../lib/log.ts'
import { openDecisions } from './decisions.ts'
import { AlertDesk } from './desk.ts'
import type { Alert } from './embed.ts'
import { AlertMemory } from './memory.ts'
import { openAlertSink } from './sink.ts'

/** A dead letter of one of a few kinds. */
function letter(partition: number, offset: number, reason: string): DecodedRecord<unknown> {
  const record = { topic: 'dead-letters', partition, offset, timestamp: 0, key: null, bytes: null }
  const headers = [{ name: 'dlq.reason', value: Buffer.from(reason) }]
  return { ...record, headers, decoded: { type: 'value', value: Buffer.alloc(0), writer: null } }
}

/** Records that an alert or a digest accounts for. */
function countOf(alert: Alert): number {
  if (alert.title.startsWith('Digest')) return Number(/\d+/.exec(alert.title)?.[0])
  const more = alert.fields.find((f) => f.name.endsWith('of them so far'))
  return more ? Number.parseInt(more.name, 10) : 1
}

const reasons = fc.constantFrom('a', 'b', 'c', 'd')
/** Batches of one partition; an empty one is a tick. */
const batches = fc.array(fc.array(reasons, { maxLength: 20 }), { maxLength: 15 })

test('no offset is returned before Discord holds what lies up to it, and nothing is counted twice', async () => {
  await fc.assert(
    fc.asyncProperty(batches, batches, fc.infiniteStream(fc.nat({ max: 3 })), async (left, right, chance) => {
      let posted = 0
      const poster = {
        isDead: false,
        logOnly: () => undefined,
        // Fails now and then, and takes its time.
        post: async ({ alerts }: { alerts: readonly Alert[] }) => {
          const turns = Number(chance.next().value)
          for (let i = 0; i < turns; i++) await new Promise(setImmediate)
          if (turns === 3) throw new RetriableError('Discord is away', { retryAfterMs: 0 })
          // A message of several is refused now and then.
          if (turns === 2 && alerts.length > 1) return false
          posted += alerts.reduce((sum, a) => sum + countOf(a), 0)
          return true
        },
      }
      const memory = new AlertMemory({ quietMs: 60_000, digestMs: 60_000 })
      const desk = new AlertDesk({ memory, poster, digestMs: 0, log: openLog('test', 'silent') })
      const partitions = [left, right].map((todo, partition) => ({ partition, todo, taken: 0, settled: 0 }))
      const settledInAll = () => partitions.reduce((sum, p) => sum + p.settled, 0)

      // One partition's calls come one after the other, those of two partitions at any time.
      const run = async (p: (typeof partitions)[number]) => {
        const sink = openAlertSink({
          desk,
          decisions: openDecisions(null, openLog('test', 'silent')),
          topic: 'dead-letters',
          group: 'alerter',
          deadLetterTopic: 'dead-letters',
        })
        const call = async (batch: string[]): Promise<void> => {
          const records = batch.map((reason, i) => letter(p.partition, p.taken + i, reason))
          const { through } = await (records.length > 0 ? sink.write(records) : sink.tick())
          p.taken += batch.length
          if (through === null) return
          expect(through).toBeGreaterThanOrEqual(p.settled)
          p.settled = through + 1
          expect(posted).toBeGreaterThanOrEqual(settledInAll())
        }
        for (const batch of p.todo) {
          while (!(await call(batch).then(() => true, isOutage)));
        }
        while (p.settled < p.taken) await call([])
      }
      await Promise.all(partitions.map(run))
      expect(posted).toBe(left.flat().length + right.flat().length)
      expect(partitions.map((p) => p.settled)).toEqual([left.flat().length, right.flat().length])
    }),
    { numRuns: 100 },
  )
})

/** Gives false for an outage, so that the same batch comes again. */
function isOutage(error: unknown): false {
  if (!(error instanceof RetriableError)) throw error
  return false
}
