import { expect, test } from 'vitest'
import { readConfig as readAlerter } from '../services/alerter/config.ts'
import { readConfig as readEnricher } from '../services/enricher/config.ts'
import { readSimulatorAddresses, withSimulators } from './stand-in.ts'

const simulators = {
  SPOTIFY_SIMULATOR_URL: 'http://spotify-simulator:8080',
  DISCORD_SIMULATOR_URL: 'http://discord-simulator:8080',
}
const servers = {
  KAFKA_BROKERS: 'kafka:9092',
  SCHEMA_REGISTRY_URL: 'http://registry:8080/apis/ccompat/v7',
  DATABASE_URL: 'postgres://u:p@postgres/songswap',
}

test('without credentials the services are configured for the simulators', () => {
  const env = withSimulators({ ...simulators, ...servers })
  const { spotify, reccobeatsUrl } = readEnricher(env)
  expect(spotify.apiUrl).toBe('http://spotify-simulator:8080/v1')
  expect(spotify.accountsUrl).toBe('http://spotify-simulator:8080')
  expect(reccobeatsUrl).toBe('http://spotify-simulator:8080/reccobeats')
  expect(readAlerter(env).webhook?.reveal()).toBe('http://discord-simulator:8080/api/webhooks/1/simulated')
})

test.each([
  ['credentials are set', { ...simulators, SPOTIFY_CLIENT_ID: 'mine' }],
  ['there are no simulators', {}],
  ['one of the simulators is not named', { SPOTIFY_SIMULATOR_URL: 'http://a' }],
])('nothing is changed where %s', (_where, env) => {
  expect(readSimulatorAddresses(env)).toBeNull()
  expect(withSimulators(env)).toEqual(env)
})

test('an empty SPOTIFY_CLIENT_ID is none', () => {
  expect(readSimulatorAddresses({ ...simulators, SPOTIFY_CLIENT_ID: '' })).not.toBeNull()
})

test("an operator's own settings and webhook outlast the demo's", () => {
  const env = withSimulators({
    ...simulators,
    POLL_MIN_INTERVAL_SECONDS: '7',
    DISCORD_WEBHOOK_URL: 'https://discord.com/api/webhooks/2/real',
  })
  expect(env.POLL_MIN_INTERVAL_SECONDS).toBe('7')
  expect(env.DISCORD_WEBHOOK_URL).toBe('https://discord.com/api/webhooks/2/real')
  expect(withSimulators({ ...simulators, DISCORD_WEBHOOK_URL_FILE: '/run/secrets/hook' })).not.toHaveProperty(
    'DISCORD_WEBHOOK_URL',
  )
})
