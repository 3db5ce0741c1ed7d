import { messageOf } from '../../lib/errors.ts'
import type { Notice } from '../../lib/events.ts'
import { metrics } from '../../lib/metrics.ts'
import { readAlarmsOver, readPolling } from '../../lib/polling/read.ts'
import type { PollingConfig } from '../../lib/polling/rules.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { Resource } from '../../lib/scope.ts'
import { openIncidents } from '../../lib/spotify/incidents.ts'
import { seeingNotice, toBlindNotice, toPollingNotices } from './polling-notices.ts'
import type { RepeatOptions } from './repeat.ts'
import { openRepeat } from './repeat.ts'

export interface PollingWatchOptions extends Pick<RepeatOptions, 'intervalMs' | 'isChosen' | 'log'> {
  sql: Sql
  config: PollingConfig
  /** Resolves when the notice is in the topic. */
  publish: (notice: Notice) => Promise<void>
}

/**
 * Checks at an interval whether users are polled, because a dead or failing poller reports nothing itself, and
 * publishes alarms and their ends. Postgres keeps the open ones. An outage of Postgres is published too, once it has
 * lasted as long as a stop of polling would have to.
 */
export function openPollingWatch(options: PollingWatchOptions): Resource {
  const { sql, config, publish, log } = options
  const incidents = openIncidents(sql, publish)
  let blindSince: number | null = null
  let blindTold = false

  async function look(): Promise<void> {
    const standing = await readPolling(sql, config)
    const openUsers = await incidents.subjects('user_unpolled')
    const { raised, resolved } = toPollingNotices(standing, { openUsers, over: await readAlarmsOver(sql) })
    metrics.pollingStopped.set(standing.verdict === 'stopped' ? 1 : 0)
    for (const notice of raised) await incidents.raise(notice)
    for (const notice of resolved) await incidents.resolve(notice)
    if (blindTold) await publish(seeingNotice)
    blindTold = false
    blindSince = null
  }

  async function work(): Promise<void> {
    try {
      await look()
    } catch (error) {
      blindSince ??= performance.now()
      const blindForMs = performance.now() - blindSince
      if (!blindTold && blindForMs >= config.rules.stoppedMs) {
        await publish(toBlindNotice(blindForMs, messageOf(error)))
        blindTold = true
      }
      log.warn({ reason: messageOf(error) }, 'polling_not_judged')
    }
  }

  function forget(): void {
    blindSince = null
    blindTold = false
    metrics.pollingStopped.reset()
  }

  return openRepeat({ ...options, work, forget, failed: 'polling_not_judged' })
}
