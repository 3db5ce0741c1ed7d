import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openAccessToken, openRefreshToken, type RefreshToken, sealToken } from './tokens.ts'

const token: RefreshToken = {
  kind: 'refresh',
  listener: 3,
  client: null,
  scope: 'x',
  generation: 0,
  authorizedAt: 5,
}

test('a sealed token opens to itself, with the same seed and as its own kind only', () => {
  const sealed = sealToken(1, token)
  expect(openRefreshToken(1, sealed)).toEqual(token)
  expect(openRefreshToken(2, sealed)).toBeNull()
  expect(openAccessToken(1, sealed)).toBeNull()
})

test('no other text opens', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(openRefreshToken(1, text)).toBeNull()
    }),
  )
  const sealed = sealToken(1, token)
  fc.assert(
    fc.property(fc.integer({ min: 2, max: sealed.length - 1 }), (place) => {
      const other = sealed[place] === 'A' ? 'B' : 'A'
      expect(openRefreshToken(1, sealed.slice(0, place) + other + sealed.slice(place + 1))).toBeNull()
    }),
  )
})
