import pLimit from 'p-limit'
import { isRecordFault, messageOf, RetriableError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { Digest } from './digest.ts'
import { mergeDigests, toDigestAlert } from './digest.ts'
import type { Alert } from './embed.ts'
import { toAlert, toMessages } from './embed.ts'
import type { AlertMemory } from './memory.ts'
import type { PostOffice } from './poster.ts'
import type { Report } from './report.ts'
import type { Announcement } from './triage.ts'
import { triage } from './triage.ts'

/** A partition's share of the next digest. */
export interface DigestSource {
  topic: string
  /** Since when reports wait, a moment of `performance.now()`, or null if none do. */
  waitingSince: number | null
  /** Hands over what waits. The caller calls `posted` or `failed` once, before the next hand-over. */
  handOver(): { digest: Digest; posted: () => void; failed: () => void }
}

const digestRetryMs = 10_000

/**
 * The partitions of this process share a desk: one memory of posted alerts, one digest, one post at a time. An alert
 * counts as posted only once Discord holds it.
 */
export class AlertDesk {
  readonly #memory: AlertMemory
  readonly #poster: PostOffice
  readonly #digestMs: number
  readonly #log: Logger
  readonly #sources = new Set<DigestSource>()
  /** Two partitions with the same new kind at the same time must not both post it. */
  readonly #turn = pLimit(1)
  #retryAt = 0

  constructor(options: { memory: AlertMemory; poster: PostOffice; digestMs: number; log: Logger }) {
    this.#memory = options.memory
    this.#poster = options.poster
    this.#digestMs = options.digestMs
    this.#log = options.log
  }

  join(source: DigestSource): void {
    this.#sources.add(source)
  }

  /** The partition's next owner reads again what the source has not handed over. */
  leave(source: DigestSource): void {
    this.#sources.delete(source)
  }

  /** Whether this process owns a partition of the topic. */
  owns(topic: string): boolean {
    return [...this.#sources].some((s) => s.topic === topic)
  }

  /**
   * Posts what is new and returns what waits for the digest: while the webhook is dead, everything.
   * @throws RetriableError when Discord did not take everything: the same reports come again, and those already
   *   posted are then skipped
   */
  announce(reports: readonly Report[]): Promise<Report[]> {
    return this.#turn(async () => {
      const { announcements, folded } = triage(reports, this.#memory, Date.now())
      if (this.#poster.isDead) return this.#fold(reports, announcements)
      const alerts = announcements.map((announcement) => ({ ...toAlert(announcement), announcement }))
      await this.#post(alerts)
      for (const report of folded) this.#memory.fold(report)
      return folded
    })
  }

  /** Remembers alerts message by message: a failure of a later message does not repeat an earlier one. */
  async #post(alerts: readonly (Alert & { announcement: Announcement })[]): Promise<void> {
    for (const pack of toMessages(alerts)) {
      if (await this.#poster.post(pack)) {
        for (const { announcement } of pack.alerts) this.#memory.tell(announcement)
      } else for (const alert of pack.alerts) await this.#post([alert])
    }
  }

  /** Logs what would have been posted, and folds everything into the digest. */
  #fold(reports: readonly Report[], announcements: readonly Announcement[]): Report[] {
    this.#poster.logOnly(announcements.map(toAlert), 'the webhook is dead')
    const { folded } = triage(reports, this.#memory, Number.POSITIVE_INFINITY)
    for (const report of folded) this.#memory.fold(report)
    return folded
  }

  /** Posts the digest of all partitions once its oldest report has waited for `digestMs`; retries after outages. */
  postDigestIfDue(): Promise<void> {
    return this.#turn(async () => {
      const now = performance.now()
      const sources = [...this.#sources].filter((s) => s.waitingSince !== null)
      const due = sources.some((s) => (s.waitingSince ?? now) + this.#digestMs <= now)
      if (!due || now < this.#retryAt) return
      const parts = sources.map((s) => s.handOver())
      try {
        const alert = toDigestAlert(mergeDigests(parts.map((p) => p.digest)), Date.now())
        for (const pack of toMessages(alert ? [alert] : [])) await this.#poster.post(pack)
        for (const part of parts) part.posted()
      } catch (error) {
        for (const part of parts) part.failed()
        if (isRecordFault(error)) throw error
        const asked = error instanceof RetriableError ? error.retryAfterMs : null
        this.#retryAt = now + (asked ?? digestRetryMs)
        this.#log.warn({ reason: messageOf(error) }, 'digest_postponed')
      }
    })
  }
}
