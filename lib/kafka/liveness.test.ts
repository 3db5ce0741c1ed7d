import { expect, test } from 'vitest'
import { Liveness } from './liveness.ts'

function open() {
  const clock = { now: 0 }
  const liveness = new Liveness({
    sessionTimeoutMs: 12_000,
    rebalanceTimeoutMs: 28_000,
    now: () => clock.now,
  })
  return { clock, liveness }
}

test('a consumer that never joins is given up after 90 seconds, a member without heartbeats after two sessions', () => {
  const { clock, liveness } = open()
  liveness.joining()
  clock.now = 89_999
  expect(liveness.fault()).toBe(null)
  clock.now = 90_000
  expect(liveness.fault()).toBe('no heartbeat for 90 s')
  liveness.assigned()
  liveness.reading()
  clock.now += 23_999
  expect(liveness.fault()).toBe(null)
  clock.now += 1
  expect(liveness.fault()).toBe('no heartbeat for 24 s')
  liveness.heartbeat()
  expect(liveness.fault()).toBe(null)
})

test('a member that gets no partitions for 40 seconds is given up, however often it joins and though heartbeats go on', () => {
  const { clock, liveness } = open()
  liveness.assigned()
  for (clock.now = 1_000; clock.now <= 41_000; clock.now += 1_000) {
    liveness.joining()
    liveness.heartbeat()
    expect(liveness.fault()).toBe(null)
  }
  expect(liveness.fault()).toBe('no partitions within 40 s of joining')
})

test('only reading for a while proves that a consumer works, and only a minute of membership that it was healthy', () => {
  const { clock, liveness } = open()
  liveness.assigned()
  clock.now = 30_000
  expect(liveness.isProven).toBe(false)
  liveness.reading()
  clock.now = 39_999
  expect(liveness.isProven).toBe(false)
  clock.now = 40_000
  expect(liveness.isProven).toBe(true)
  expect(liveness.wasHealthy).toBe(false)
  liveness.joining()
  expect(liveness.isProven).toBe(false)
  clock.now = 60_000
  expect(liveness.wasHealthy).toBe(true)
})
