import { setTimeout as sleep } from 'node:timers/promises'
import { isRecordFault } from '../../lib/errors.ts'
import type { Permit } from '../../lib/spotify/permit.ts'
import { connectUser, findUser } from '../../lib/spotify/token-store.ts'
import type { Tokens } from '../../lib/spotify/tokens.ts'
import { exchangeCode, refreshTokens } from '../../lib/spotify/tokens.ts'
import { describe, OperatorFault } from '../fault.ts'
import { neededScope } from './consent.ts'
import type { Enrolment } from './enrolment.ts'
import { withEnrolmentPermits } from './enrolment.ts'
import { readProfile } from './profile.ts'
import { toTokenFault } from './refusal.ts'
import type { EnrolledUser } from './report.ts'

interface Reporting {
  /** Called when the database does not take the tokens. They are then only in memory while storing is retried. */
  onWaiting: (reason: string) => void
}

/** Connects a user by the code of a fresh consent. @throws OperatorFault */
export function enrolByCode(
  enrolment: Enrolment,
  consent: { code: string; verifier: string; redirectUri: string },
  reporting: Reporting,
): Promise<EnrolledUser> {
  const { gateway } = enrolment
  return withEnrolmentPermits(gateway, async ({ token, profile }) => {
    const answer = await exchangeCode(gateway, consent, token)
    if (answer.type !== 'tokens') throw toTokenFault('code', answer)
    return enrol(enrolment, { ...reporting, tokens: answer.tokens, usedToken: null }, profile)
  })
}

/**
 * Connects a user by a refresh token.
 *
 * @param given.authorizedAt when the user agreed, or null if unknown
 * @throws OperatorFault
 */
export function enrolByToken(
  enrolment: Enrolment,
  { refreshToken, authorizedAt }: { refreshToken: string; authorizedAt: Date | null },
  reporting: Reporting,
): Promise<EnrolledUser> {
  const { gateway } = enrolment
  return withEnrolmentPermits(gateway, async ({ token, profile }) => {
    const answer = await refreshTokens(gateway, refreshToken, { permit: token })
    if (answer.type !== 'tokens') throw toTokenFault('refresh token', answer)
    const given = { ...reporting, tokens: answer.tokens, usedToken: refreshToken, authorizedAt }
    return enrol(enrolment, given, profile)
  })
}

/** Tokens from Spotify, and how they were obtained. */
interface Given extends Reporting {
  tokens: Tokens
  /** The refresh token that was used to get them. It stays valid if Spotify sends no new one. */
  usedToken: string | null
  /** When the user agreed; absent for now, or null if unknown. */
  authorizedAt?: Date | null
}

/**
 * Asks Spotify whose the tokens are and stores them sealed.
 *
 * @param permit for the first request
 * @throws OperatorFault when the tokens are unusable or Spotify does not say whose they are
 */
async function enrol(enrolment: Enrolment, given: Given, permit: Permit): Promise<EnrolledUser> {
  const { gateway, crypto, postgres } = enrolment
  const { tokens, usedToken, onWaiting, authorizedAt } = given
  const refreshToken = tokens.refreshToken ?? usedToken
  if (refreshToken === null) {
    throw new OperatorFault('Spotify gave no refresh token', 'Run songswap users connect again.')
  }
  if (tokens.scope && !tokens.scope.split(' ').includes(neededScope)) {
    throw new OperatorFault(
      `The consent does not cover ${neededScope}: plays could not be read with it`,
      'Let the user consent again: songswap users connect',
    )
  }
  const sealed = {
    refreshSealed: await crypto.seal(refreshToken),
    accessSealed: await crypto.seal(tokens.accessToken),
  }
  const profile = await readProfile(gateway, tokens.accessToken, permit)
  const { clientId } = enrolment.config
  const { expiresInMs, scope } = tokens
  const user = {
    ...profile,
    ...sealed,
    expiresInMs,
    scope,
    clientId,
    ...(authorizedAt !== undefined && { authorizedAt }),
  }
  const store = () =>
    postgres.transaction(async (sql) => {
      const known = (await findUser(sql, user)) !== null
      return { id: await connectUser(sql, user), known }
    })
  const { spotifyId, displayName } = profile
  return { spotifyId, displayName, ...(await storeUntilTaken(store, onWaiting)) }
}

const storePauseMs = 1_000

/** A rotated token exists nowhere else, so it retries until the database takes it or the operator ends the process. */
async function storeUntilTaken<T>(store: () => Promise<T>, onWaiting: Reporting['onWaiting']): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await store()
    } catch (error) {
      if (isRecordFault(error)) throw error
      if (attempt === 1) onWaiting(describe(error))
      await sleep(storePauseMs)
    }
  }
}
