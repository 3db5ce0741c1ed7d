import { randomBytes } from 'node:crypto'
import { decodeProtectedHeader } from 'jose'
import { expect, test } from 'vitest'
import { Secret } from '../secret.ts'
import { createTokenCrypto, UnreadableTokenError } from './token-crypto.ts'

const key = (kid: string) => ({ kid, key: new Secret(randomBytes(32).toString('base64url')) })
const [old, current] = [key('2025'), key('2026')]

test('what was sealed opens again, whatever it holds', async () => {
  const crypto = createTokenCrypto([current])
  for (const token of ['AQDabc-_', '', 'é\u0000', 'x'.repeat(10_000)]) {
    expect(await crypto.open(await crypto.seal(token))).toBe(token)
  }
})

test('the same token sealed twice looks different', async () => {
  const crypto = createTokenCrypto([current])
  expect(await crypto.seal('token')).not.toBe(await crypto.seal('token'))
})

test('the first key seals and its id is in the header', async () => {
  const sealed = await createTokenCrypto([current, old]).seal('token')
  expect(decodeProtectedHeader(sealed)).toEqual({ alg: 'dir', enc: 'A256GCM', kid: '2026' })
})

test('every key of the ring opens, and an old one shows', async () => {
  const sealed = await createTokenCrypto([old]).seal('token')
  const rotated = createTokenCrypto([current, old])
  expect(await rotated.open(sealed)).toBe('token')
  expect(rotated.isCurrent(sealed)).toBe(false)
  expect(rotated.isCurrent(await rotated.seal('token'))).toBe(true)
})

test('a key that is not at hand is named', async () => {
  const sealed = await createTokenCrypto([old]).seal('token')
  await expect(createTokenCrypto([current]).open(sealed)).rejects.toThrow(/"2025".*TOKEN_ENCRYPTION_KEYS/)
})

test('another key under the same id, damage and plain text are unreadable, not a crash', async () => {
  const crypto = createTokenCrypto([current])
  const sealed = await createTokenCrypto([key('2026')]).seal('token')
  const damaged = `${(await crypto.seal('token')).slice(0, -4)}AAAA`
  for (const value of [sealed, damaged, 'AQDplain', '']) {
    await expect(crypto.open(value)).rejects.toBeInstanceOf(UnreadableTokenError)
  }
})
