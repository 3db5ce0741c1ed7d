import { checkpoint } from '../../lib/checkpoint.ts'
import { RetriableError } from '../../lib/errors.ts'
import type { Health } from '../../lib/health.ts'
import type { Logger } from '../../lib/log.ts'
import { metrics } from '../../lib/metrics.ts'
import type { Discord } from './discord.ts'
import type { Alert, DiscordMessage } from './embed.ts'
import { toPlainMessage } from './embed.ts'
import type { MessageRate } from './rate.ts'

export interface Poster {
  /**
   * Posts one message. Returns when Discord holds it, or when it was logged because there is nobody to post to.
   * @throws RetriableError when it must be tried again later; Discord may hold the message all the same
   */
  post(pack: { message: DiscordMessage; alerts: readonly Alert[] }): Promise<void>
}

/**
 * Posts within Discord's limits. The breaker: once Discord says that the webhook is gone or its token wrong,
 * nothing is posted any more until the process is started with another one (Discord punishes repeated attempts);
 * alerts then go to the log, and the topics are consumed on.
 *
 * @param options.discord null: no webhook is configured
 */
export function openPoster(options: {
  discord: Discord | null
  rate: MessageRate
  log: Logger
  health: Health
}): Poster {
  const { discord, rate, log, health } = options
  let breaker: string | null = null
  if (!discord) log.warn('no_webhook: DISCORD_WEBHOOK_URL is not set, alerts go to this log only')
  health.register('discord', () => ({
    alive: true,
    ready: breaker === null,
    detail: breaker ?? (discord ? 'posting' : 'no webhook: alerts go to the log'),
  }))

  function logOnly(alerts: readonly Alert[], why: string): void {
    metrics.alerts.inc({ result: 'suppressed' })
    for (const { title, text, severity } of alerts)
      log.warn({ title, text, severity, why }, 'alert_not_posted')
  }

  async function attempt(
    to: Discord,
    message: DiscordMessage,
    alerts: readonly Alert[],
  ): Promise<'done' | 'refused'> {
    const waitMs = rate.waitMs(Date.now())
    if (waitMs > 0) {
      throw new RetriableError('Alerts wait for the rate limit of the channel', { retryAfterMs: waitMs })
    }
    rate.took(Date.now())
    const outcome = await to.post(message)
    switch (outcome.type) {
      case 'sent':
        checkpoint('alerter.posted')
        rate.hold(Date.now() + outcome.holdMs)
        metrics.alerts.inc({ result: 'sent' })
        log.info({ alerts: alerts.map((a) => a.title) }, 'alerts_posted')
        return 'done'
      case 'limited':
        rate.hold(Date.now() + outcome.retryAfterMs)
        metrics.alerts.inc({ result: 'rate_limited' })
        throw new RetriableError('Discord limits the rate of alerts', { retryAfterMs: outcome.retryAfterMs })
      case 'away':
        metrics.alerts.inc({ result: 'failed' })
        throw new RetriableError(
          `Discord does not take alerts now: ${outcome.detail}`,
          outcome.retryAfterMs === null ? {} : { retryAfterMs: outcome.retryAfterMs },
        )
      case 'dead':
        breaker = `Discord answered ${outcome.status}: the webhook is dead, set another DISCORD_WEBHOOK_URL`
        metrics.alerterBreakerOpen.set(1)
        log.error(
          { status: outcome.status, detail: outcome.detail },
          'webhook_dead: nothing is posted until a restart',
        )
        logOnly(alerts, breaker)
        return 'done'
      case 'refused':
        metrics.alerts.inc({ result: 'failed' })
        log.error({ status: outcome.status, detail: outcome.detail }, 'alert_refused')
        return 'refused'
    }
  }

  return {
    async post({ message, alerts }) {
      if (!discord || breaker !== null) return logOnly(alerts, breaker ?? 'no webhook')
      if ((await attempt(discord, message, alerts)) === 'done') return
      // A message that Discord will not take must not hold up the others for ever.
      const plain = await attempt(discord, toPlainMessage(alerts), alerts)
      if (plain === 'refused') logOnly(alerts, 'Discord refuses the message')
    },
  }
}
