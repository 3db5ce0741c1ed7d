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
  /** Called when the database does not take the tokens, which are then kept in memory alone and tried again. */
  onWaiting: (reason: string) => void
}

/** Takes in a user by the code of a consent that was given now. @throws OperatorFault */
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
 * Takes in a user by a refresh token.
 *
 * @param given.authorizedAt when the user agreed, or null if that is not known
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

/** Tokens that Spotify gave, and where they come from. */
interface Given extends Reporting {
  tokens: Tokens
  /** The refresh token that they were got with, which stays valid when there is no new one. */
  usedToken: string | null
  /** When the user agreed; absent: now; null: not known. */
  authorizedAt?: Date | null
}

/**
 * Asks whose the tokens are and stores them, sealed.
 *
 * @param permit for the first question
 * @throws OperatorFault when they are of no use or Spotify does not say whose they are
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

/** A rotated token exists nowhere else: it is stored as soon as the database takes it, or the person gives up. */
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
