import { exponentialMs, pause } from '../../lib/backoff.ts'
import type { Gateway } from '../../lib/spotify/gateway.ts'
import type { Outcome } from '../../lib/spotify/outcome.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import { isOutage } from '../../lib/spotify/outcome-rules.ts'
import type { Permit } from '../../lib/spotify/permit.ts'
import { OperatorFault } from '../fault.ts'
import { toBudgetFault } from './refusal.ts'

/** A user's identity at Spotify. */
export interface Profile {
  spotifyId: string
  /** The id that never changes, or null if Spotify gives none. */
  accountId: string | null
  /** Null if Spotify shows none. */
  displayName: string | null
}

const tries = 4
const pauseMs = 1_000
const longestWaitMs = 10_000

/**
 * Asks Spotify whose an access token is. It retries for some seconds in an outage: the refresh token may have replaced
 * an older one, and is lost if its user stays unknown.
 *
 * @param permit for the first request
 * @throws OperatorFault with what to do
 */
export async function readProfile(gateway: Gateway, accessToken: string, permit: Permit): Promise<Profile> {
  const call = { kind: 'profile', lane: 'polling', path: '/me', accessToken } as const
  for (let attempt = 1; ; attempt++) {
    const asked = await (attempt === 1 ? gateway.get(call, permit) : gateway.get(call))
    if (asked.type === 'refused') {
      const { retryAfterMs } = asked.refusal
      if (retryAfterMs > longestWaitMs || attempt === tries) throw toBudgetFault(asked.refusal)
      await pause(retryAfterMs)
      continue
    }
    const { outcome } = asked.answer
    const waitMs = toWait(outcome, attempt)
    if (waitMs === null || attempt === tries) return toProfile(outcome)
    await pause(waitMs)
  }
}

/** How long to wait before the same request may succeed, or null if it will not, or not soon. */
function toWait(outcome: Outcome, attempt: number): number | null {
  const backoffMs = exponentialMs(attempt, { firstMs: pauseMs, longestMs: longestWaitMs })
  if (isOutage(outcome)) return backoffMs
  if (outcome.type !== 'rate_limited') return null
  const waitMs = outcome.retryAfterMs ?? backoffMs
  return waitMs <= longestWaitMs ? waitMs : null
}

/** @throws OperatorFault for every answer that does not name a user */
export function toProfile(outcome: Outcome): Profile {
  if (outcome.type !== 'ok') {
    throw new OperatorFault(
      `Spotify does not say who the user is (${describeOutcome(outcome)})`,
      hintFor(outcome),
    )
  }
  const body = typeof outcome.json === 'object' && outcome.json !== null ? outcome.json : {}
  const spotifyId = 'id' in body ? body.id : null
  if (typeof spotifyId !== 'string' || spotifyId === '') {
    throw new OperatorFault("Spotify's answer names no user", 'Is SPOTIFY_API_URL right? Try again later.')
  }
  const name = 'display_name' in body && typeof body.display_name === 'string' ? body.display_name : null
  const account = 'account_id' in body && typeof body.account_id === 'string' ? body.account_id : ''
  return {
    spotifyId: toStorable(spotifyId),
    accountId: account === '' ? null : toStorable(account),
    displayName: name === null ? null : toStorable(name),
  }
}

/** Postgres holds neither NUL nor lone surrogates. */
function toStorable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\u{fffd}')
}

function hintFor(outcome: Outcome): string {
  switch (outcome.type) {
    case 'user_not_listed':
      return "Add the user to the app's list in Spotify's Developer Dashboard (User Management), then connect again."
    case 'premium_lapsed':
      return "The app owner's Premium has lapsed: renew it, wait some hours, then connect again."
    case 'quota_exceeded':
    case 'rate_limited':
      return 'The app has used up what Spotify allows it; connect again after the time given.'
    default:
      return 'Nothing was stored. Try again later; with a new consent if the token was replaced meanwhile.'
  }
}
