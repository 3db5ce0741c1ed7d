import { describe, expect, test } from 'vitest'
import type { Outcome } from './flood-valve.ts'
import { FloodValve, toOutcome } from './flood-valve.ts'
import type { RawRecord } from './record.ts'

const limits = { maxRatio: 0.5, minDeadLetters: 10, windowRecords: 50 }
const dead = (count: number) => Array.from({ length: count }, () => true)
const good = (count: number) => Array.from({ length: count }, () => false)

/** Judges a batch, and settles what passes. */
function judge(valve: FloodValve, outcome: Outcome, isForced = false) {
  const verdict = valve.judge(outcome, isForced)
  if (!valve.closed) valve.note(outcome)
  return verdict
}

describe('the flood valve', () => {
  test('lets a few bad records pass, even when they are all there is', () => {
    const valve = new FloodValve(limits)
    for (let i = 0; i < 9; i++) expect(judge(valve, dead(1))).toBe('pass')
    expect(judge(valve, dead(1))).toBe('close')
  })

  test('closes once when dead letters outweigh the rest, and refuses until a trial succeeds', () => {
    const valve = new FloodValve(limits)
    expect(judge(valve, [...good(5), ...dead(9)])).toBe('pass')
    expect(judge(valve, dead(5))).toBe('close')
    expect(judge(valve, dead(5))).toBe('refuse')
    expect(valve.closed).toBe(true)
    expect(judge(valve, [...good(3), ...dead(2)])).toBe('reopen')
    expect(valve.closed).toBe(false)
    expect(judge(valve, dead(5))).toBe('pass')
  })

  test('an idle moment does not open it', () => {
    const valve = new FloodValve(limits)
    expect(judge(valve, [])).toBe('pass')
    expect(judge(valve, dead(10))).toBe('close')
    expect(judge(valve, [])).toBe('pass')
    expect(valve.closed).toBe(true)
    expect(judge(valve, dead(10))).toBe('refuse')
  })

  test('counts the last records, however slowly they come and however large the batches are', () => {
    const slow = new FloodValve(limits)
    judge(slow, good(30))
    const verdicts = dead(31).map((died) => judge(slow, [died]))
    // 26 of the last fifty are dead: of the thirty good ones, 24 are still in the window.
    expect(verdicts.indexOf('close')).toBe(25)

    const atOnce = new FloodValve(limits)
    expect(judge(atOnce, [...good(450), ...dead(25)])).toBe('pass')
    expect(judge(new FloodValve(limits), [...good(450), ...dead(26)])).toBe('close')
  })

  test('many good records outweigh many bad ones', () => {
    const valve = new FloodValve(limits)
    for (let i = 0; i < 1_000; i++) expect(judge(valve, [i % 2 === 1])).toBe('pass')
  })

  test('lets everything pass while it is forced', () => {
    const valve = new FloodValve(limits)
    expect(judge(valve, dead(20))).toBe('close')
    expect(judge(valve, dead(20), true)).toBe('reopen')
    expect(judge(valve, dead(20), true)).toBe('pass')
    expect(judge(valve, dead(20))).toBe('close')
  })

  test('never closes at a ratio of 1', () => {
    const valve = new FloodValve({ ...limits, maxRatio: 1 })
    for (let i = 0; i < 100; i++) expect(judge(valve, dead(10))).toBe('pass')
  })
})

test('an outcome is that of the records in their order; dead letters of earlier ones come last', () => {
  const record = (offset: number): RawRecord => ({
    ...{ topic: 't', partition: 0, offset, timestamp: 0, key: null, headers: [], bytes: null },
  })
  const letter = (offset: number) => ({ record: record(offset), reason: 'no_value' as const, message: '' })
  expect(toOutcome([record(4), record(5)], [letter(5), letter(2)])).toEqual([false, true, true])
  expect(toOutcome([], [])).toEqual([])
})
