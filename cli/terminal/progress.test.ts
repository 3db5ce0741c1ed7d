import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openOutput } from './output.ts'
import { ProgressLine } from './progress.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

const wipe = '\r\u001b[K'

function openScreen({ isTTY }: { isTTY: boolean }) {
  const stderr = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY })
  return { stderr, seen: () => stderr.read() as string | null }
}

test('work that takes less than two seconds shows nothing, and longer work shows its rate and what is left', () => {
  const { stderr, seen } = openScreen({ isTTY: true })
  const report = new ProgressLine(stderr).of('records')
  vi.advanceTimersByTime(1_999)
  report(500, 5_000)
  expect(seen()).toBeNull()
  vi.advanceTimersByTime(1)
  report(1_000, 5_000)
  expect(seen()).toBe(`${wipe}1,000 of 5,000 records (20 %), 500/s, 8s left`)
})

test('another pass begins with a clock of its own', () => {
  const { stderr, seen } = openScreen({ isTTY: true })
  const report = new ProgressLine(stderr).of('records')
  vi.advanceTimersByTime(60_000)
  report(600, null)
  seen()
  report(0, null)
  vi.advanceTimersByTime(2_000)
  report(20, null)
  expect(seen()).toBe(`${wipe}20 records, 10/s`)
})

test('the line is gone before anything else is written', () => {
  const { stderr, seen } = openScreen({ isTTY: true })
  const line = new ProgressLine(stderr)
  const terminal = { env: {}, stdin: stderr, stdout: new PassThrough(), stderr, onInterrupt: () => () => {} }
  const report = line.of('records')
  vi.advanceTimersByTime(2_000)
  report(1, null)
  openOutput(terminal, { json: false, line }).say('done')
  expect(seen()?.endsWith(`/s${wipe}done\n`)).toBe(true)
})

test('what is not a terminal gets no line', () => {
  const { stderr, seen } = openScreen({ isTTY: false })
  const report = new ProgressLine(stderr).of('records')
  vi.advanceTimersByTime(60_000)
  report(1, null)
  expect(seen()).toBeNull()
})
