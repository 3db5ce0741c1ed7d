import type { Incidents } from '../../lib/spotify/incidents.ts'
import { describeOutcome } from '../../lib/spotify/outcome.ts'
import { isOutage } from '../../lib/spotify/outcome-rules.ts'
import type { AppToken } from '../../lib/spotify/tokens.ts'
import type { Looked } from './lookup.ts'

export type Session = { type: 'session'; accessToken: string } | Extract<Looked, { type: 'paused' }>

/** The app's login at Spotify. It publishes when its credentials are refused and when they are accepted again. */
export interface AppSession {
  get(): Promise<Session>
  /** Forgets a token that was answered with 401. */
  invalidate(accessToken: string): void
}

const refusedMs = 60_000
const outageMs = 5_000

export function openAppSession(options: { token: AppToken; incidents: Incidents }): AppSession {
  const { token, incidents } = options
  let known: string | null = null

  async function onNewToken(accessToken: string): Promise<void> {
    await incidents.resolve({
      type: 'spotify_credentials',
      subject: 'app',
      message: 'Spotify accepts the client id and secret again.',
    })
    known = accessToken
  }

  return {
    async get() {
      const result = await token.get()
      if (result.type === 'token') {
        if (result.accessToken !== known) await onNewToken(result.accessToken)
        return { type: 'session', accessToken: result.accessToken }
      }
      if (result.type === 'deferred') {
        const { reason, detail, retryAfterMs } = result.refusal
        return { type: 'paused', reason: `no app token: ${reason}: ${detail}`, forMs: retryAfterMs }
      }
      const { outcome } = result
      if (outcome.type === 'invalid_client') {
        await incidents.raise({
          type: 'spotify_credentials',
          subject: 'app',
          severity: 'critical',
          message:
            'Spotify refuses the client id or secret: check SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET.',
        })
      }
      // If the answer led to a longer pause, that is stored, and the next call waits for it.
      const forMs = isOutage(outcome) ? outageMs : refusedMs
      return { type: 'paused', reason: `no app token: ${describeOutcome(outcome)}`, forMs }
    },
    invalidate: (accessToken) => token.invalidate(accessToken),
  }
}
