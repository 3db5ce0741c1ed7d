import type { Dispatcher } from 'undici'
import { withDeadline } from '../time-limit.ts'
import type { CallKind } from './classify.ts'
import { classify, classifyFailure } from './classify.ts'
import type { HttpAnswer } from './decode-body.ts'
import { decodeBody } from './decode-body.ts'
import { exchange } from './exchange.ts'
import type { Outcome } from './outcome.ts'

/** The result of one request. */
export interface Answer {
  outcome: Outcome
  /** Null if there was no complete answer. */
  status: number | null
  /** The body, after {@link decodeBody}; empty if there was none. */
  body: Buffer
  /** When the answer was complete: Unix time in milliseconds. */
  fetchedAt: number
  /** The time of the answer by the server's clock (header `Date`), or null if it does not say. */
  serverDate: number | null
}

/** One request, and how to read its answer. */
export interface Ask {
  kind: CallKind
  url: URL
  headers?: Record<string, string>
  form?: string
  timeoutMs: number
  signal?: AbortSignal | undefined
}

/** Sends one request, to Spotify or another source, and classifies its answer. @throws the reason of `call.signal` */
export async function answerOf(agent: Dispatcher, call: Ask): Promise<Answer> {
  const request = {
    origin: call.url.origin,
    path: call.url.pathname + call.url.search,
    method: call.form === undefined ? ('GET' as const) : ('POST' as const),
    // The body is published as received, so ask for it without a coding.
    headers: { accept: 'application/json', 'accept-encoding': 'identity', ...call.headers },
    body: call.form ?? null,
  }
  try {
    // The agent's timeouts bound the time without a byte; a body that trickles in needs its own limit.
    const raw = await withDeadline(call.timeoutMs, (signal) => exchange(agent, request, signal), call.signal)
    const fetchedAt = Date.now()
    const answer = await decodeBody(raw, maxDecodedBytes)
    const { status, body } = answer
    return { outcome: classify(call.kind, answer), status, body, fetchedAt, serverDate: dateOf(answer) }
  } catch (error) {
    const outcome = classifyFailure(error)
    if (!outcome) throw error
    return { outcome, status: null, body: Buffer.alloc(0), fetchedAt: Date.now(), serverDate: null }
  }
}

/** A compressed body may be many times larger after decoding. */
const maxDecodedBytes = 32 * 1024 * 1024

function dateOf({ headers }: HttpAnswer): number | null {
  const { date } = headers
  const at = typeof date === 'string' ? Date.parse(date) : Number.NaN
  return Number.isNaN(at) ? null : at
}
