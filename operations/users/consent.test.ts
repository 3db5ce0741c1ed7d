import { expect, test } from 'vitest'
import { readCallback, toChallenge, toConsentAddress } from './consent.ts'

const redirectUri = 'http://127.0.0.1:8888/callback'
const expected = { redirectUri, state: 'good' }

test('the challenge is that of RFC 7636, appendix B', () => {
  expect(toChallenge('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')).toBe(
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  )
})

test('the consent address asks for a code with PKCE, state and the one scope', () => {
  const app = { accountsUrl: 'https://accounts.spotify.com', clientId: 'id' }
  const address = toConsentAddress(app, { redirectUri, state: 'good', verifier: 'v' })
  const { origin, pathname, searchParams } = new URL(address)
  expect(origin + pathname).toBe('https://accounts.spotify.com/authorize')
  expect(Object.fromEntries(searchParams)).toEqual({
    client_id: 'id',
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'user-read-recently-played',
    state: 'good',
    code_challenge_method: 'S256',
    code_challenge: toChallenge('v'),
    show_dialog: 'true',
  })
  expect(address).not.toContain('verifier')
})

test.each([
  [`${redirectUri}?code=abc&state=good`, { type: 'code', code: 'abc' }],
  [`  ${redirectUri}?state=good&code=abc\n`, { type: 'code', code: 'abc' }],
  [`${redirectUri}?error=access_denied&state=good`, { type: 'declined', error: 'access_denied' }],
  [`${redirectUri}?code=abc&error=access_denied&state=good`, { type: 'declined', error: 'access_denied' }],
  [`${redirectUri}?code=abc&state=bad`, { type: 'wrong_state' }],
  [`${redirectUri}?code=abc`, { type: 'wrong_state' }],
  [`${redirectUri}?error=access_denied`, { type: 'wrong_state' }],
  [`${redirectUri}?state=good`, { type: 'not_a_callback' }],
  [`${redirectUri}?code=&state=good`, { type: 'not_a_callback' }],
  ['http://127.0.0.1:9999/callback?code=abc&state=good', { type: 'not_a_callback' }],
  ['http://evil.example/callback?code=abc&state=good', { type: 'not_a_callback' }],
  ['abc', { type: 'not_a_callback' }],
])('%s reads as %o', (address, callback) => {
  expect(readCallback(address, expected)).toEqual(callback)
})
