import { Agent, request } from 'undici'
import { messageOf } from '../../lib/errors.ts'
import { scrub } from '../../lib/log.ts'
import type { Resource } from '../../lib/scope.ts'
import type { Secret } from '../../lib/secret.ts'
import type { PostOutcome } from './answer.ts'
import { toOutcome } from './answer.ts'
import type { DiscordMessage } from './embed.ts'

export interface Discord extends Resource {
  /** One POST; never throws: whatever happened on the way is an outcome. */
  post(message: DiscordMessage): Promise<PostOutcome>
}

/**
 * A webhook. `wait=true`, because without it Discord says yes to messages that it then does not save. A post
 * whose answer is lost may have been saved: trying again can double it.
 */
export function openDiscord(options: { webhook: Secret; timeoutMs: number }): Discord {
  const { timeoutMs } = options
  const dispatcher = new Agent({ connections: 1, connect: { timeout: timeoutMs } })
  const url = new URL(options.webhook.reveal())
  url.searchParams.set('wait', 'true')

  return {
    async post(message) {
      try {
        const { statusCode, headers, body } = await request(url, {
          method: 'POST',
          dispatcher,
          headers: { 'content-type': 'application/json', 'user-agent': 'songswap-stream (alerter)' },
          body: JSON.stringify(message),
          signal: AbortSignal.timeout(timeoutMs),
        })
        return toOutcome(statusCode, headers, await body.text())
      } catch (error) {
        return { type: 'away', detail: scrub(messageOf(error)), retryAfterMs: null }
      }
    },
    close: () => dispatcher.destroy(),
  }
}
