import { Agent } from 'undici'
import type { SpotifyConfig } from '../config.ts'
import { metrics } from '../metrics.ts'
import type { Resource } from '../scope.ts'
import type { CallKind } from './classify.ts'
import type { Answer, Ask } from './http-answer.ts'
import { answerOf } from './http-answer.ts'
import type { RequestLane } from './outcome.ts'

export interface ApiCall {
  kind: Exclude<CallKind, 'token'>
  lane: RequestLane
  /** Below the API's address, e.g. `/me/player/recently-played`. */
  path: string
  query?: Record<string, string | number>
  accessToken: string
  /** Cancels the request; its reason is thrown, unless it is a timeout. */
  signal?: AbortSignal
}

export interface SpotifyClient extends Resource {
  /** The most that a request takes. */
  readonly timeoutMs: number
  /** One GET of the Web API. Never throws for what Spotify or the network does. */
  get(call: ApiCall): Promise<Answer>
  /** One POST to the token endpoint, authenticated as the app (Basic). */
  postToken(form: Record<string, string>): Promise<Answer>
}

/** Far above the largest pages (2 MB); keeps a runaway answer out of memory. */
const maxBodyBytes = 32 * 1024 * 1024

/**
 * A client of Spotify: one request in, one classified answer out. It does not retry, wait or keep a budget; use it only
 * through `gateway.ts`, which keeps the budget.
 *
 * @param options.connections most requests at a time per host
 */
export function openSpotifyClient(config: SpotifyConfig, options: { connections: number }): SpotifyClient {
  const { timeoutMs } = config
  const agent = new Agent({
    connections: options.connections,
    maxResponseSize: maxBodyBytes,
    connect: { timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  })
  const basic = Buffer.from(`${config.clientId}:${config.clientSecret.reveal()}`).toString('base64')

  return {
    timeoutMs,
    get(call) {
      const url = new URL(config.apiUrl + call.path)
      for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, String(value))
      // undici would throw over a token that is not a valid header value; tokens.ts accepts only printable ASCII.
      const headers = { authorization: `Bearer ${call.accessToken}` }
      return ask(agent, { url, headers, timeoutMs, ...call })
    },
    postToken(form) {
      return ask(agent, {
        kind: 'token',
        lane: 'accounts',
        url: new URL(`${config.accountsUrl}/api/token`),
        headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
        form: new URLSearchParams(form).toString(),
        timeoutMs,
      })
    },
    close: () => agent.destroy(),
  }
}

async function ask(agent: Agent, call: Ask & { lane: RequestLane }): Promise<Answer> {
  const stopTimer = metrics.spotifySeconds.startTimer({ lane: call.lane })
  const answer = await answerOf(agent, call)
  stopTimer()
  metrics.spotifyRequests.inc({ lane: call.lane, outcome: answer.outcome.type })
  return answer
}
