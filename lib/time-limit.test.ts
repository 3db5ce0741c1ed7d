import { once } from 'node:events'
import { expect, test } from 'vitest'
import { late, withDeadline, within } from './time-limit.ts'

/** Work that never ends by itself. */
async function untilAborted(signal: AbortSignal): Promise<never> {
  await once(signal, 'abort')
  throw signal.reason
}

test('a promise is waited for until the time is over', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  expect(await within(60_000, Promise.resolve(7))).toBe(7)
  await expect(within(60_000, Promise.reject(new Error('down')))).rejects.toThrow('down')
  expect(timers()).toBe(before)
  const { promise, reject } = Promise.withResolvers<never>()
  expect(await within(10, promise)).toBe(late)
  // No caller awaits it any more, but it must not be an unhandled rejection.
  reject(new Error('down'))
})

test('work whose time is over is told so', async () => {
  await expect(withDeadline(20, untilAborted)).rejects.toMatchObject({ name: 'TimeoutError' })
})

test('work that is given up from outside is told why', async () => {
  const outer = new AbortController()
  const working = withDeadline(60_000, untilAborted, outer.signal)
  outer.abort(new Error('we close'))
  await expect(working).rejects.toThrow('we close')
})

test('what was given up before is not begun', async () => {
  let begun = 0
  const work = async () => ++begun
  await expect(withDeadline(60_000, work, AbortSignal.abort(new Error('too late')))).rejects.toThrow(
    'too late',
  )
  expect(begun).toBe(0)
})

test('work that is done in time leaves no timer and is not told afterwards', async () => {
  const outer = new AbortController()
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const signal = await withDeadline(60_000, async (signal) => signal, outer.signal)
  expect(timers()).toBe(before)
  outer.abort(new Error('we close'))
  expect(signal.aborted).toBe(false)
})
