import type { Answer, SpotifyClient } from './client.ts'
import type { Outcome } from './outcome.ts'

/** What the token endpoint gave. */
export interface Tokens {
  accessToken: string
  /** null: Spotify sent none, the one that was used stays valid. */
  refreshToken: string | null
  expiresInMs: number
  /** Space-separated; null: not said, unchanged. */
  scope: string | null
}

export type TokenAnswer = { type: 'tokens'; tokens: Tokens } | { type: 'refused'; outcome: Outcome }

/** A new access token for a user. Spotify may rotate the refresh token: store what comes back at once. */
export async function refreshTokens(
  client: SpotifyClient,
  refreshToken: string,
  signal?: AbortSignal,
): Promise<TokenAnswer> {
  return toTokenAnswer(
    await client.postToken({ grant_type: 'refresh_token', refresh_token: refreshToken }, signal),
  )
}

/**
 * First tokens of a user, for the code of the consent page (code flow with PKCE).
 *
 * @param consent.verifier the PKCE code verifier whose challenge was in the consent address
 */
export async function exchangeCode(
  client: SpotifyClient,
  consent: { code: string; verifier: string; redirectUri: string },
): Promise<TokenAnswer> {
  return toTokenAnswer(
    await client.postToken({
      grant_type: 'authorization_code',
      code: consent.code,
      redirect_uri: consent.redirectUri,
      code_verifier: consent.verifier,
    }),
  )
}

/** The app's own access token (client credentials): serves metadata, no user involved. */
export interface AppToken {
  /** From memory while it has two minutes to live, else a new one; at most one request at a time. */
  get(): Promise<{ type: 'token'; accessToken: string } | { type: 'refused'; outcome: Outcome }>
  /** Forgets a token that was answered with 401; without effect when it was replaced meanwhile. */
  invalidate(accessToken: string): void
}

/** Time before its expiry at which a token counts as expired. */
export const expiryMarginMs = 2 * 60_000

export function openAppToken(client: SpotifyClient): AppToken {
  let current: { accessToken: string; expiresAt: number } | null = null
  let asking: Promise<TokenAnswer> | null = null

  async function ask(): Promise<TokenAnswer> {
    const answer = toTokenAnswer(await client.postToken({ grant_type: 'client_credentials' }))
    if (answer.type === 'tokens') {
      const { accessToken, expiresInMs } = answer.tokens
      current = { accessToken, expiresAt: Date.now() + expiresInMs }
    }
    return answer
  }

  return {
    async get() {
      if (current && current.expiresAt - expiryMarginMs > Date.now()) {
        return { type: 'token', accessToken: current.accessToken }
      }
      asking ??= ask().finally(() => {
        asking = null
      })
      const answer = await asking
      return answer.type === 'tokens' ? { type: 'token', accessToken: answer.tokens.accessToken } : answer
    },
    invalidate(accessToken) {
      if (current?.accessToken === accessToken) current = null
    },
  }
}

const defaultExpirySeconds = 3600

/** Reads a token body; one without an access token is an outage, whatever its status. */
function toTokenAnswer(answer: Answer): TokenAnswer {
  const { outcome } = answer
  if (outcome.type !== 'ok') return { type: 'refused', outcome }
  const body = outcome.json as Partial<Record<string, unknown>> | null
  const accessToken = body?.access_token
  if (typeof accessToken !== 'string' || !/^[\x21-\x7e]+$/.test(accessToken)) {
    return {
      type: 'refused',
      outcome: { type: 'not_json', message: 'the token answer holds no access token' },
    }
  }
  const expiresIn = Number(body?.expires_in)
  const refreshToken = body?.refresh_token
  const scope = body?.scope
  return {
    type: 'tokens',
    tokens: {
      accessToken,
      refreshToken: typeof refreshToken === 'string' && refreshToken ? refreshToken : null,
      expiresInMs: (expiresIn > 0 ? expiresIn : defaultExpirySeconds) * 1000,
      scope: typeof scope === 'string' ? scope : null,
    },
  }
}
