import { createHash, randomBytes } from 'node:crypto'
import type { SpotifyConfig } from '../../lib/config.ts'

/** The only scope that the poller needs. */
export const neededScope = 'user-read-recently-played'

/** The meaning of an address that the browser called. */
export type Callback =
  | { type: 'code'; code: string }
  | { type: 'declined'; error: string }
  /** The answer to another attempt, or a forged one: never used. */
  | { type: 'wrong_state' }
  | { type: 'not_a_callback' }

/** The S256 challenge of a verifier, by PKCE (RFC 7636). */
export function toChallenge(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}

/** Ties an answer to the attempt that asked for it. Only Spotify gets the verifier. */
interface Attempt {
  state: string
  verifier: string
}

export function newAttempt(): Attempt {
  return { state: randomBytes(24).toString('base64url'), verifier: randomBytes(48).toString('base64url') }
}

/** The address of Spotify's consent page for one attempt. It always shows, so the user can choose another account. */
export function toConsentAddress(
  { accountsUrl, clientId }: Pick<SpotifyConfig, 'accountsUrl' | 'clientId'>,
  { redirectUri, state, verifier }: Attempt & { redirectUri: string },
): string {
  const url = new URL(`${accountsUrl}/authorize`)
  url.search = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: neededScope,
    state,
    code_challenge_method: 'S256',
    code_challenge: toChallenge(verifier),
    show_dialog: 'true',
  }).toString()
  return url.href
}

/**
 * Reads the address that Spotify sent the browser to. An answer without the attempt's own state counts neither as a
 * code nor as a refusal.
 */
export function readCallback(address: string, expected: { redirectUri: string; state: string }): Callback {
  const text = address.trim()
  if (!URL.canParse(text)) return { type: 'not_a_callback' }
  const url = new URL(text)
  if (`${url.origin}${url.pathname}` !== expected.redirectUri) return { type: 'not_a_callback' }
  const code = url.searchParams.get('code')
  const error = url.searchParams.get('error')
  if (!code && !error) return { type: 'not_a_callback' }
  if (url.searchParams.get('state') !== expected.state) return { type: 'wrong_state' }
  if (error) return { type: 'declined', error }
  return code ? { type: 'code', code } : { type: 'not_a_callback' }
}
