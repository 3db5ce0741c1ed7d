import type { Dispatcher } from 'undici'
import { Agent } from 'undici'
import type { SpotifyConfig } from '../config.ts'
import { withDeadline } from '../deadline.ts'
import { metrics } from '../metrics.ts'
import type { Resource } from '../scope.ts'
import type { CallKind } from './classify.ts'
import { classify, classifyFailure } from './classify.ts'
import { exchange } from './exchange.ts'
import type { Lane, Outcome } from './outcome.ts'

/** What came of one request. */
export interface Answer {
  outcome: Outcome
  /** null: there was no complete answer. */
  status: number | null
  /** The body as received; empty when there was none. */
  body: Buffer
  /** When the answer was complete: Unix time in milliseconds. */
  fetchedAt: number
}

interface ApiCall {
  kind: Exclude<CallKind, 'token'>
  lane: Lane
  /** Under the API's address, e.g. `/me/player/recently-played`. */
  path: string
  query?: Record<string, string | number>
  accessToken: string
  /** Gives the request up; what its reason says is thrown, unless it is a timeout. */
  signal?: AbortSignal
}

export interface SpotifyClient extends Resource {
  /** No request takes longer. */
  readonly timeoutMs: number
  /** One GET of the Web API. Never throws for what Spotify or the network does. */
  get(call: ApiCall): Promise<Answer>
  /** One POST to the token endpoint, authenticated as the app (Basic). */
  postToken(form: Record<string, string>, signal?: AbortSignal): Promise<Answer>
}

/** Pages of 2 MB were seen; this only keeps a runaway answer out of memory. */
const maxBodyBytes = 32 * 1024 * 1024

/**
 * A client of Spotify: one request in, one classified answer out. It neither retries nor waits nor keeps a
 * budget; those are its callers' (see `budget.ts`).
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
      // A bearer token that is no header value would make the client throw; Spotify's are plain ASCII.
      const headers = { authorization: `Bearer ${call.accessToken}` }
      return ask(agent, { url, headers, timeoutMs, ...call })
    },
    postToken(form, signal) {
      return ask(agent, {
        kind: 'token',
        lane: 'accounts',
        url: new URL(`${config.accountsUrl}/api/token`),
        headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
        form: new URLSearchParams(form).toString(),
        timeoutMs,
        signal,
      })
    },
    close: () => agent.destroy(),
  }
}

interface Ask {
  kind: CallKind
  url: URL
  headers?: Record<string, string>
  form?: string
  timeoutMs: number
  signal?: AbortSignal | undefined
}

async function ask(agent: Agent, call: Ask & { lane: Lane }): Promise<Answer> {
  const stopTimer = metrics.spotifySeconds.startTimer({ lane: call.lane })
  const answer = await answerOf(agent, call)
  stopTimer()
  metrics.spotifyRequests.inc({ lane: call.lane, outcome: answer.outcome.type })
  return answer
}

/** Sends one request and classifies its answer, also of others than Spotify. @throws what the reason of `call.signal` is */
export async function answerOf(agent: Dispatcher, call: Ask): Promise<Answer> {
  const request = {
    origin: call.url.origin,
    path: call.url.pathname + call.url.search,
    method: call.form === undefined ? ('GET' as const) : ('POST' as const),
    // Identity: the body is kept as it comes, so it must come as it is.
    headers: { accept: 'application/json', 'accept-encoding': 'identity', ...call.headers },
    body: call.form ?? null,
  }
  try {
    // The agent's timeouts bound the time without a byte; a body that trickles needs a bound of its own.
    const answer = await withDeadline(
      call.timeoutMs,
      (signal) => exchange(agent, request, signal),
      call.signal,
    )
    return {
      outcome: classify(call.kind, answer),
      status: answer.status,
      body: answer.body,
      fetchedAt: Date.now(),
    }
  } catch (error) {
    const outcome = classifyFailure(error)
    if (!outcome) throw error
    return { outcome, status: null, body: Buffer.alloc(0), fetchedAt: Date.now() }
  }
}
