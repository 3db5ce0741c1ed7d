import { createHmac, timingSafeEqual } from 'node:crypto'

/**
 * Tokens carry their content and a seal: the simulator stores none, and those issued before a restart stay
 * valid, as Spotify's do.
 */
export interface AccessToken {
  kind: 'access'
  /** Null for an app's own token (client credentials). */
  listener: number | null
  client: string
  scope: string
  issuedAt: number
  expiresAt: number
}

export interface RefreshToken {
  kind: 'refresh'
  listener: number
  /** Null if any client may use it. */
  client: string | null
  scope: string
  /** Rotation counts up; an older generation is dead. */
  generation: number
  authorizedAt: number
}

const prefixes = { access: 'BQ', refresh: 'AQ' } as const

export function sealToken(seed: number, token: AccessToken | RefreshToken): string {
  const payload = Buffer.from(JSON.stringify(token)).toString('base64url')
  return `${prefixes[token.kind]}${payload}-${seal(seed, payload)}`
}

/** The content of an access token, expired or not, or null if this simulator did not issue it. */
export function openAccessToken(seed: number, token: string): AccessToken | null {
  const content: AccessToken | RefreshToken | null = open(seed, token)
  return content?.kind === 'access' ? content : null
}

export function openRefreshToken(seed: number, token: string): RefreshToken | null {
  const content: AccessToken | RefreshToken | null = open(seed, token)
  return content?.kind === 'refresh' ? content : null
}

function open(seed: number, token: string): AccessToken | RefreshToken | null {
  const cut = token.length - sealLength - 1
  if (token[cut] !== '-' || !Object.values<string>(prefixes).includes(token.slice(0, 2))) return null
  const payload = token.slice(2, cut)
  const given = Buffer.from(token.slice(cut + 1))
  const right = Buffer.from(seal(seed, payload))
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null
  return JSON.parse(Buffer.from(payload, 'base64url').toString())
}

const sealLength = 22

function seal(seed: number, payload: string): string {
  return createHmac('sha256', `simulator ${seed}`).update(payload).digest('base64url').slice(0, sealLength)
}
