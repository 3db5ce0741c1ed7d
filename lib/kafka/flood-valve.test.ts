import { describe, expect, test } from 'vitest'
import { FloodValve } from './flood-valve.ts'

const limits = { maxRatio: 0.5, minDeadLetters: 10, windowMs: 60_000 }

describe('the flood valve', () => {
  test('lets a few bad records pass, even when they are all there is', () => {
    const valve = new FloodValve(limits)
    for (let i = 0; i < 9; i++) expect(valve.judge({ records: 1, deadLetters: 1 }, i)).toBe('pass')
  })

  test('closes once when dead letters outweigh the rest, and refuses until a trial succeeds', () => {
    const valve = new FloodValve(limits)
    expect(valve.judge({ records: 5, deadLetters: 0 }, 0)).toBe('pass')
    expect(valve.judge({ records: 9, deadLetters: 9 }, 1)).toBe('pass')
    expect(valve.judge({ records: 5, deadLetters: 5 }, 2)).toBe('close')
    expect(valve.judge({ records: 5, deadLetters: 5 }, 3)).toBe('refuse')
    expect(valve.closed).toBe(true)
    expect(valve.judge({ records: 5, deadLetters: 0 }, 4)).toBe('reopen')
    expect(valve.closed).toBe(false)
    expect(valve.judge({ records: 5, deadLetters: 5 }, 5)).toBe('pass')
  })

  test('forgets what is older than its window', () => {
    const valve = new FloodValve(limits)
    expect(valve.judge({ records: 9, deadLetters: 9 }, 0)).toBe('pass')
    expect(valve.judge({ records: 9, deadLetters: 9 }, 61_000)).toBe('pass')
  })

  test('many good records outweigh many bad ones', () => {
    const valve = new FloodValve(limits)
    for (let i = 0; i < 100; i++) expect(valve.judge({ records: 100, deadLetters: 40 }, i)).toBe('pass')
  })

  test('lets everything pass for a while when told to', () => {
    const valve = new FloodValve(limits)
    expect(valve.judge({ records: 20, deadLetters: 20 }, 0)).toBe('close')
    valve.force(10_000)
    expect(valve.judge({ records: 20, deadLetters: 20 }, 1)).toBe('reopen')
    expect(valve.judge({ records: 20, deadLetters: 20 }, 9_999)).toBe('pass')
    expect(valve.judge({ records: 20, deadLetters: 20 }, 10_000)).toBe('close')
  })

  test('never closes at a ratio of 1', () => {
    const valve = new FloodValve({ ...limits, maxRatio: 1 })
    for (let i = 0; i < 100; i++) expect(valve.judge({ records: 10, deadLetters: 10 }, i)).toBe('pass')
  })
})
