import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AlertMemory } from './memory.ts'
import type { Report } from './report.ts'
import type { Triage } from './triage.ts'
import { announcementsMax, newsMs, triage } from './triage.ts'

const report = (kind: string, offset: number, state: Report['state'] = 'raised', family = kind): Report => ({
  kind,
  family,
  familyTitle: family,
  state,
  isDigestOnly: kind === 'slow',
  severity: 'warning',
  title: kind,
  text: '',
  fields: [],
  example: `${kind}@${offset}`,
  source: 'test',
  at: offset,
  partition: 'ops.events/0',
  offset,
})

const now = 3_600_000
const newMemory = () => new AlertMemory({ quietMs: 3_600_000, digestMs: 300_000 })

/** Applies a triage as if everything was posted. */
function post(memory: AlertMemory, reports: Report[]): Triage {
  const result = triage(reports, memory, now)
  for (const a of result.announcements) memory.tell(a)
  for (const r of result.folded) memory.fold(r)
  return result
}

const shape = (t: Triage) => ({
  told: t.announcements.map((a) => `${a.first.kind} ${a.first.state} ${a.count}`),
  folded: t.folded.length,
})

describe('triage', () => {
  test('tells the first of a kind at once with what came right behind it, and folds what comes later', () => {
    const memory = newMemory()
    expect(shape(post(memory, [report('a', 0), report('b', 1), report('a', 2)]))).toEqual({
      told: ['a raised 2', 'b raised 1'],
      folded: 0,
    })
    expect(shape(post(memory, [report('a', 3), report('a', 4)]))).toEqual({ told: [], folded: 2 })
  })

  test('a process that repeats itself is no news while the kind is raised, and told when it is not', () => {
    const memory = newMemory()
    const repeat = (offset: number) => ({ ...report('a', offset), isRepeat: true })
    expect(shape(post(memory, [report('a', 0)])).told).toEqual(['a raised 1'])
    expect(shape(post(memory, [repeat(1), repeat(2)]))).toEqual({ told: [], folded: 0 })
    expect(shape(post(memory, [report('a', 3, 'resolved')])).told).toEqual(['a resolved 1'])
    expect(shape(post(memory, [repeat(4)])).told).toEqual(['a raised 1'])
    expect(shape(post(newMemory(), [repeat(5)])).told).toEqual(['a raised 1'])
  })

  test('tells a recovery once, and the next outbreak as a first', () => {
    const memory = newMemory()
    post(memory, [report('a', 0)])
    expect(shape(post(memory, [report('a', 1, 'resolved')])).told).toEqual(['a resolved 1'])
    expect(shape(post(memory, [report('a', 2, 'resolved')]))).toEqual({ told: [], folded: 0 })
    expect(shape(post(memory, [report('a', 3)])).told).toEqual(['a raised 1'])
  })

  test('tells a recovery of what was raised before this process started', () => {
    expect(shape(post(newMemory(), [report('a', 9, 'resolved')])).told).toEqual(['a resolved 1'])
  })

  test('folds what is older than an hour, and its end', () => {
    const old = [report('a', 0), report('b', 1), report('a', 2, 'resolved')]
    const { announcements, folded } = triage([...old, report('c', 3)], newMemory(), newsMs + 3)
    expect(shape({ announcements, folded })).toEqual({ told: ['c raised 1'], folded: 3 })
  })

  test('folds what can wait, and its end', () => {
    const reports = [report('slow', 0), report('a', 1), report('slow', 2, 'resolved')]
    expect(shape(triage(reports, newMemory(), now))).toEqual({ told: ['a raised 1'], folded: 2 })
  })

  test('folds a kind that flaps, and a family with many kinds, past its allowance', () => {
    const flapping = Array.from({ length: 20 }, (_, i) => report('a', i, i % 2 ? 'resolved' : 'raised'))
    const flapped = triage(flapping, newMemory(), now)
    expect(flapped.announcements).toHaveLength(announcementsMax)
    expect(flapped.folded).toHaveLength(20 - announcementsMax)
    const many = Array.from({ length: 20 }, (_, i) => report(`user:${i}`, i, 'raised', 'reauth'))
    const memory = newMemory()
    expect(post(memory, many.slice(0, 10)).announcements).toHaveLength(announcementsMax)
    expect(shape(post(memory, many.slice(10)))).toEqual({ told: [], folded: 10 })
  })

  test('a batch that comes again after some of its alerts were posted tells only the others', () => {
    const batch = [report('a', 0), report('b', 1), report('a', 2), report('a', 3, 'resolved'), report('c', 4)]
    fc.assert(
      fc.property(fc.nat({ max: 4 }), (posted) => {
        const memory = newMemory()
        const first = triage(batch, memory, now)
        for (const a of first.announcements.slice(0, posted)) memory.tell(a)
        const second = triage([...batch, report('d', 5)], memory, now)
        const titles = [...first.announcements.slice(0, posted), ...second.announcements].map(
          (a) => `${a.first.kind} ${a.first.state}`,
        )
        expect(titles).toEqual(['a raised', 'b raised', 'a resolved', 'c raised', 'd raised'])
      }),
      { numRuns: 20 },
    )
  })

  test('loses no report: each is in an alert, in a digest, or a repeated recovery', () => {
    const reports = fc.array(
      fc.record({ kind: fc.constantFrom('a', 'b', 'c'), state: fc.constantFrom('raised', 'resolved') }),
    )
    fc.assert(
      fc.property(reports, fc.nat({ max: 50 }), (made, cut) => {
        const all = made.map(({ kind, state }, i) => report(kind, i, state as Report['state']))
        const memory = newMemory()
        const results = [post(memory, all.slice(0, cut)), post(memory, all.slice(cut))]
        const told = results.flatMap((r) => r.announcements).reduce((sum, a) => sum + a.count, 0)
        const folded = results.flatMap((r) => r.folded).length
        const last = new Map<string, string>()
        const repeated = all.filter((r) => {
          const again = r.state === 'resolved' && last.get(r.kind) === 'resolved'
          last.set(r.kind, r.state)
          return again
        })
        expect(told + folded).toBeGreaterThanOrEqual(all.length - repeated.length)
        expect(told + folded).toBeLessThanOrEqual(all.length)
      }),
      { numRuns: 30 },
    )
  })
})
