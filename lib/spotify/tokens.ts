import type { Refusal } from './budget.ts'
import type { Asked, Gateway } from './gateway.ts'
import type { Answer } from './http-answer.ts'
import type { Outcome } from './outcome.ts'
import type { Permit } from './permit.ts'

/** An answer of the token endpoint. */
export interface Tokens {
  accessToken: string
  /** Null if Spotify sent none: the one that was used stays valid. */
  refreshToken: string | null
  expiresInMs: number
  /** Space-separated; null if Spotify sent none: it is unchanged. */
  scope: string | null
}

export type TokenAnswer =
  | { type: 'tokens'; tokens: Tokens }
  | { type: 'refused'; outcome: Outcome }
  /** Not asked: the budget does not allow it now. */
  | { type: 'deferred'; refusal: Refusal }

/**
 * Requests a new access token for a user. Spotify may rotate the refresh token.
 *
 * @param options.keep stores the tokens, before Postgres is used for anything else
 */
export async function refreshTokens(
  gateway: Gateway,
  refreshToken: string,
  options: { permit?: Permit; keep?: (tokens: Tokens) => Promise<void> } = {},
): Promise<TokenAnswer> {
  const { permit, keep } = options
  const form = { grant_type: 'refresh_token', refresh_token: refreshToken }
  const take = async (answer: Answer): Promise<void> => {
    const given = readTokens(answer.outcome)
    if (given.type === 'tokens') await keep?.(given.tokens)
  }
  return toTokenAnswer(await gateway.postToken(form, permit, take))
}

/**
 * Requests a user's first tokens, for the code of the consent page (code flow with PKCE).
 *
 * @param consent.verifier the PKCE code verifier whose challenge was in the consent address
 */
export async function exchangeCode(
  gateway: Gateway,
  consent: { code: string; verifier: string; redirectUri: string },
  permit?: Permit,
): Promise<TokenAnswer> {
  const form = {
    grant_type: 'authorization_code',
    code: consent.code,
    redirect_uri: consent.redirectUri,
    code_verifier: consent.verifier,
  }
  return toTokenAnswer(await gateway.postToken(form, permit))
}

/** The app's own access token (client credentials), for metadata. */
export interface AppToken {
  /** The token in memory if it lives for two more minutes, else a new one. At most one request is under way. */
  get(
    permit?: Permit,
  ): Promise<{ type: 'token'; accessToken: string } | Exclude<TokenAnswer, { type: 'tokens' }>>
  /** Forgets a token that was answered with 401; has no effect if it was replaced meanwhile. */
  invalidate(accessToken: string): void
}

/** A token counts as expired this long before its expiry. */
export const expiryMarginMs = 2 * 60_000

export function openAppToken(gateway: Gateway): AppToken {
  /** `expiresAt` is by the monotonic clock. */
  let current: { accessToken: string; expiresAt: number } | null = null
  let asking: Promise<TokenAnswer> | null = null

  async function ask(permit?: Permit): Promise<TokenAnswer> {
    const answer = toTokenAnswer(await gateway.postToken({ grant_type: 'client_credentials' }, permit))
    if (answer.type === 'tokens') {
      const { accessToken, expiresInMs } = answer.tokens
      current = { accessToken, expiresAt: performance.now() + expiresInMs }
    }
    return answer
  }

  return {
    async get(permit) {
      if (current && current.expiresAt - expiryMarginMs > performance.now()) {
        return { type: 'token', accessToken: current.accessToken }
      }
      asking ??= ask(permit).finally(() => {
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

function toTokenAnswer(asked: Asked): TokenAnswer {
  if (asked.type === 'refused') return { type: 'deferred', refusal: asked.refusal }
  return readTokens(asked.answer.outcome)
}

/** Reads the body of a token answer; one without an access token counts as an outage. */
function readTokens(outcome: Outcome): Exclude<TokenAnswer, { type: 'deferred' }> {
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
