import { expect, test } from 'vitest'
import { ConfigError } from '../../lib/config.ts'
import { readSpotifyOptions } from './env.ts'
import { transientFaults } from './faults.ts'

test('an empty environment gives the defaults', () => {
  expect(readSpotifyOptions({})).toMatchObject({ port: 0, listeners: 10, mode: 'development', faults: {} })
})

test('groups of faults expand and later entries override', () => {
  const { faults } = readSpotifyOptions({ SIM_FAULTS: 'transient=0.01, reset=0.5' })
  expect(Object.keys(faults).sort()).toEqual([...transientFaults].sort())
  expect(faults).toMatchObject({ reset: 0.5, bad_gateway: 0.01 })
})

test('all faults of the configuration are reported together', () => {
  const env = { PORT: '70000', SIM_SPEED: 'fast', SIM_MODE: 'none', SIM_FAULTS: 'flood=1,reset=2,hang' }
  expect(() => readSpotifyOptions(env)).toThrow(ConfigError)
  try {
    readSpotifyOptions(env)
  } catch (error) {
    const text = String(error)
    for (const part of ['PORT', 'SIM_SPEED', 'SIM_MODE', 'flood is unknown', 'reset=2', 'hang=0.01']) {
      expect(text).toContain(part)
    }
  }
})
