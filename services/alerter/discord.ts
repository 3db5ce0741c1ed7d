import { Agent, request } from 'undici'
import { messageOf } from '../../lib/errors.ts'
import { scrub } from '../../lib/log.ts'
import type { Resource } from '../../lib/scope.ts'
import type { Secret } from '../../lib/secret.ts'
import type { PostOutcome } from './answer.ts'
import { needsThread, toOutcome, unknownChannel } from './answer.ts'
import type { DiscordMessage } from './embed.ts'
import { toRedirect } from './redirect.ts'

/** What a GET shows about a webhook. */
export type WebhookState =
  | { type: 'exists'; name: string }
  | { type: 'dead'; status: number }
  | { type: 'limited' }
  | { type: 'unknown'; detail: string }

export interface Discord extends Resource {
  /** Posts one message. Never throws: a failure is an outcome too. */
  post(message: DiscordMessage): Promise<PostOutcome>
  /** Checks whether the webhook exists, and posts nothing. Never throws. */
  look(): Promise<WebhookState>
}

const threadName = 'songswap alerts'

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
}

/**
 * A webhook. It posts with `wait=true`, because without it Discord accepts messages that it does not save. A post
 * whose answer was lost may have been saved, so a retry can double it. In a forum the first message opens a thread,
 * and the later ones of this process go there. A redirect is followed once, see {@link toRedirect}.
 */
export function openDiscord(options: { webhook: Secret; timeoutMs: number }): Discord {
  const { timeoutMs } = options
  const dispatcher = new Agent({ connections: 1, connect: { timeout: timeoutMs } })
  const webhook = new URL(options.webhook.reveal())
  let thread: string | null = null

  async function ask(url: URL, method: 'GET' | 'POST', body: string | null): Promise<Answer> {
    const {
      statusCode,
      headers,
      body: answer,
    } = await request(url, {
      method,
      dispatcher,
      headers: {
        'user-agent': 'songswap-stream',
        ...(body !== null && { 'content-type': 'application/json' }),
      },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    })
    return { status: statusCode, headers, body: await answer.text() }
  }

  async function askOnward(url: URL, method: 'GET' | 'POST', body: string | null): Promise<Answer> {
    const answer = await ask(url, method, body)
    const redirect = toRedirect(url, answer)
    if (redirect === null) return answer
    if (redirect.type === 'elsewhere') throw new Error(redirect.detail)
    const second = await ask(redirect.to, method, body)
    const again = toRedirect(redirect.to, second)
    if (again === null) return second
    throw new Error(`Discord redirects more than once, the last time to ${again.host}`)
  }

  async function send(message: DiscordMessage): Promise<PostOutcome> {
    const url = new URL(webhook)
    url.searchParams.set('wait', 'true')
    if (thread !== null) url.searchParams.set('thread_id', thread)
    try {
      const { status, headers, body } = await askOnward(url, 'POST', JSON.stringify(message))
      return toOutcome(status, headers, body)
    } catch (error) {
      return { type: 'away', detail: scrub(messageOf(error)), retryAfterMs: null }
    }
  }

  return {
    async post(message) {
      const outcome = await send(message)
      const lostThread = thread !== null
      const isForums =
        outcome.type === 'closed' && outcome.code === (lostThread ? unknownChannel : needsThread)
      if (!isForums) return outcome
      thread = null
      const opened = await send({ ...message, thread_name: threadName })
      if (opened.type === 'sent') thread = opened.channelId
      return opened
    },

    async look() {
      try {
        return toState(await askOnward(webhook, 'GET', null))
      } catch (error) {
        return { type: 'unknown', detail: `${webhook.host} does not answer: ${scrub(messageOf(error))}` }
      }
    },

    close: () => dispatcher.destroy(),
  }
}

function toState({ status, body }: Answer): WebhookState {
  if (status === 401 || status === 404) return { type: 'dead', status }
  if (status === 429) return { type: 'limited' }
  const name = status === 200 ? nameOf(body) : null
  return name === null ? { type: 'unknown', detail: `Discord answers ${status}` } : { type: 'exists', name }
}

/** The webhook's name, or null if the answer is not Discord's. */
function nameOf(body: string): string | null {
  try {
    const { name } = JSON.parse(body)
    return typeof name === 'string' ? name : 'without a name'
  } catch {
    return null
  }
}
