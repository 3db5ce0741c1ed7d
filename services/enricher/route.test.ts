import { expect, test } from 'vitest'
import type { Capability, FeaturesProvider } from './route.ts'
import { batchMaxOf, routeOf } from './route.ts'

const gated = new Set<Capability>(['audio-features.spotify'])
const open = new Set<Capability>()

const routes: [provider: FeaturesProvider, refused: Set<Capability>, expected: string | null][] = [
  ['auto', open, 'spotify'],
  ['auto', gated, 'reccobeats'],
  ['spotify', open, 'spotify'],
  ['spotify', gated, null],
  ['reccobeats', open, 'reccobeats'],
  ['reccobeats', gated, 'reccobeats'],
  ['none', open, null],
]

test.each(routes)('audio features by %s with %o refused go to %s', (provider, refused, expected) => {
  expect(routeOf('audio-features', { provider, refused })).toBe(expected)
})

test('artists and tracks go to Spotify whoever has the features, unless it refuses them one by one', () => {
  for (const provider of ['auto', 'none', 'reccobeats'] as const) {
    expect(routeOf('artist', { provider, refused: new Set(['artists.batch']) })).toBe('spotify')
    expect(routeOf('artist', { provider, refused: new Set(['artists.single']) })).toBeNull()
    expect(routeOf('track', { provider, refused: new Set(['artists.single']) })).toBe('spotify')
  }
})

test('batches are as large as each source allows', () => {
  expect(batchMaxOf('spotify', 'artist', open)).toBe(50)
  expect(batchMaxOf('spotify', 'audio-features', open)).toBe(100)
  expect(batchMaxOf('spotify', 'track', new Set(['tracks.batch']))).toBe(1)
  expect(batchMaxOf('reccobeats', 'audio-features', gated)).toBe(40)
})
