import { checkpoint } from '../../lib/checkpoint.ts'
import { RetriableError } from '../../lib/errors.ts'
import type { Health } from '../../lib/health.ts'
import type { Logger } from '../../lib/log.ts'
import { metrics } from '../../lib/metrics.ts'
import type { PostOutcome } from './answer.ts'
import type { Refusal } from './breaker.ts'
import { afterUnclearLook, toRefusal } from './breaker.ts'
import type { Delivery } from './delivery.ts'
import type { Discord } from './discord.ts'
import type { Alert, DiscordMessage } from './embed.ts'
import { toPlainMessage, toProbeMessage } from './embed.ts'
import type { MessageRate } from './rate.ts'

export interface Pack {
  message: DiscordMessage
  alerts: readonly Alert[]
}

/** The part of a {@link Poster} that the desk uses. */
export interface PostOffice {
  /** Nothing may be posted for a long time: alerts are logged and wait. */
  readonly isDead: boolean
  /**
   * Posts one message. Returns true if Discord holds it, or if it was logged, because there is no webhook or Discord
   * refuses this message but takes others. Returns false if Discord refuses a message with several alerts: the caller
   * posts them one by one.
   * @throws RetriableError when it must be tried again later; Discord may hold the message nevertheless
   */
  post(pack: Pack): Promise<boolean>
  /** Logs alerts in place of posting them. */
  logOnly(alerts: readonly Alert[], why: string): void
}

export interface PosterOptions {
  /** Null if no webhook is configured. */
  discord: Discord | null
  rate: MessageRate
  delivery: Delivery
  log: Logger
  health: Health
}

/**
 * Posts within Discord's limits. Only Discord's own acceptance is a delivery. A webhook that is gone, or a channel
 * that takes nothing, is a {@link Refusal}: until it is over nothing counts as delivered, and log, metrics, `/readyz`
 * and Postgres show it. When a message is refused, a probe message shows whether the message is at fault: if Discord
 * takes the probe, the message is logged and passed over.
 */
export class Poster implements PostOffice {
  readonly #o: PosterOptions
  #refusal: Refusal | null = null

  constructor(options: PosterOptions) {
    this.#o = options
    const { discord, log, health } = options
    if (!discord) log.warn('no_webhook: DISCORD_WEBHOOK_URL is not set, alerts go to this log only')
    health.register('discord', () => ({
      alive: true,
      ready: this.#refusal === null,
      detail: this.#refusal?.detail ?? (discord ? 'posting' : 'no webhook: alerts go to the log'),
    }))
  }

  get isDead(): boolean {
    return this.#refusal?.type === 'dead'
  }

  async post({ message, alerts }: Pack): Promise<boolean> {
    const { discord, rate, log } = this.#o
    if (!discord) {
      this.logOnly(alerts, 'no webhook')
      return true
    }
    await this.#passRefusal(discord)
    const waitMs = Math.ceil(rate.waitMs(performance.now()))
    if (waitMs > 0) {
      throw new RetriableError('Alerts wait for the rate limit of the channel', { retryAfterMs: waitMs })
    }
    const refused = await this.#attempt(discord, message, alerts)
    if (refused === null) return true
    if (alerts.length > 1) return false
    log.error({ status: refused.status, detail: refused.detail }, 'alert_refused')
    // These two posts ignore our own rate limit: a wait between them would start over with the embeds.
    if ((await this.#attempt(discord, toPlainMessage(alerts), alerts)) === null) return true
    if (await this.#attempt(discord, toProbeMessage(alerts), [])) {
      this.#refuse({ type: 'closed', detail: toDetail(refused) }, alerts)
    }
    metrics.alerts.inc({ result: 'refused' })
    this.logOnly(alerts, toDetail(refused))
    return true
  }

  logOnly(alerts: readonly Alert[], why: string): void {
    if (alerts.length > 0) metrics.alerts.inc({ result: 'suppressed' })
    for (const { title, text, severity } of alerts) {
      this.#o.log.warn({ title, text, severity, why }, 'alert_not_posted')
    }
  }

  /** @returns null if Discord holds the message, or why it refuses this one */
  async #attempt(
    discord: Discord,
    message: DiscordMessage,
    alerts: readonly Alert[],
  ): Promise<Extract<PostOutcome, { type: 'refused' }> | null> {
    const { rate, log } = this.#o
    rate.took(performance.now())
    const outcome = await discord.post(message)
    switch (outcome.type) {
      case 'sent':
        checkpoint('alerter.posted')
        rate.hold(performance.now() + outcome.holdMs)
        metrics.alerts.inc({ result: 'sent' })
        this.#accept()
        log.info({ alerts: alerts.map((a) => a.title) }, 'alerts_posted')
        return null
      case 'limited':
        rate.hold(performance.now() + outcome.retryAfterMs)
        metrics.alerts.inc({ result: 'rate_limited' })
        throw new RetriableError('Discord limits the rate of alerts', { retryAfterMs: outcome.retryAfterMs })
      case 'away':
        metrics.alerts.inc({ result: 'failed' })
        throw new RetriableError(
          `Discord does not take alerts now: ${outcome.detail}`,
          outcome.retryAfterMs === null ? {} : { retryAfterMs: outcome.retryAfterMs },
        )
      case 'dead':
      case 'closed':
        return this.#refuse({ type: outcome.type, detail: toDetail(outcome) }, alerts)
      case 'refused':
        metrics.alerts.inc({ result: 'failed' })
        return outcome
    }
  }

  /** Checks a dead webhook before anything is posted to it. @throws RetriableError until a post may be tried */
  async #passRefusal(discord: Discord): Promise<void> {
    const refusal = this.#refusal
    if (refusal === null) return
    const waitMs = Math.ceil(refusal.until - performance.now())
    if (waitMs > 0) throw new RetriableError(refusal.detail, { retryAfterMs: waitMs })
    if (refusal.type === 'closed') return
    const state = await discord.look()
    if (state.type === 'dead') this.#refuse(refusal, [])
    if (state.type !== 'exists') {
      this.#refusal = afterUnclearLook(refusal, performance.now())
      throw new RetriableError(refusal.detail, { retryAfterMs: deadRetryMs })
    }
    this.#accept()
  }

  #accept(): void {
    const { delivery, log } = this.#o
    delivery.accepted()
    if (this.#refusal === null) return
    this.#refusal = null
    metrics.alerterBreakerOpen.set(0)
    log.info('webhook_accepted: alerts are posted again')
  }

  /** @throws RetriableError always */
  #refuse(refusal: Pick<Refusal, 'type' | 'detail'>, alerts: readonly Alert[]): never {
    const { delivery, log } = this.#o
    const isNew = this.#refusal === null
    this.#refusal = toRefusal(this.#refusal, refusal, performance.now())
    metrics.alerts.inc({ result: 'failed' })
    metrics.alerterBreakerOpen.set(1)
    delivery.refused(refusal.detail)
    if (isNew) {
      log.error({ detail: refusal.detail }, 'webhook_refused: alerts wait in their topics')
      // For a dead webhook the desk logs the alerts, these and all later ones.
      if (refusal.type === 'closed') this.logOnly(alerts, refusal.detail)
    }
    const retryAfterMs = this.isDead ? deadRetryMs : Math.ceil(this.#refusal.until - performance.now())
    throw new RetriableError(refusal.detail, { retryAfterMs })
  }
}

/** The batch need not wait longer: the desk folds it when it comes again. */
const deadRetryMs = 100

function toDetail(outcome: Extract<PostOutcome, { status: number; detail: string }>): string {
  const { type, status, detail } = outcome
  if (type === 'dead') {
    return `Discord answered ${status}: the webhook is dead, set another DISCORD_WEBHOOK_URL`
  }
  return `Discord refuses what is posted to this channel: ${status} ${detail}`
}
