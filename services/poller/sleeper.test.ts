import { expect, test } from 'vitest'
import { createSleeper } from './sleeper.ts'

const forever = 60_000

test('a wake ends a sleep', async () => {
  const sleeper = createSleeper()
  const slept = sleeper.sleep(forever)
  sleeper.wake()
  await slept
})

test('a wake before a sleep is not lost, and counts once', async () => {
  const sleeper = createSleeper()
  sleeper.wake()
  sleeper.wake()
  await sleeper.sleep(forever)
  let isAwake = false
  const slept = sleeper.sleep(forever).then(() => {
    isAwake = true
  })
  await new Promise(setImmediate)
  expect(isAwake).toBe(false)
  sleeper.wake()
  await slept
})

test('a sleep ends by itself', async () => {
  await createSleeper().sleep(1)
  await createSleeper().sleep(-5)
})
