import { messageOf } from '../../lib/errors.ts'
import type { Notice } from '../../lib/events.ts'
import type { Logger } from '../../lib/log.ts'
import type { Sql } from '../../lib/postgres.ts'
import { openIncidents } from '../../lib/spotify/incidents.ts'
import type { LagState } from './evaluate.ts'
import { groupSubject, restoreState } from './evaluate.ts'

/**
 * Keeps the open alerts about groups over restarts of the alerter, so that none is raised twice and each is resolved.
 * Never throws: an alert must not depend on the database, which may be its cause.
 */
export interface RaisedAlerts {
  restore(groups: readonly string[]): Promise<LagState>
  /** Call it when the notices are in the topic. */
  keep(notices: readonly Notice[]): Promise<void>
}

/** @param sql null if there is no database: then a restart forgets */
export function openRaisedAlerts(sql: Sql | null, log: Logger): RaisedAlerts {
  if (!sql) return { restore: async () => new Map(), keep: async () => undefined }
  const incidents = openIncidents(sql, async () => undefined)

  async function attempt<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await work()
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'standing_not_kept')
      return otherwise
    }
  }

  return {
    restore: (groups) =>
      attempt(async () => {
        const raised = new Map<string, ReadonlySet<string>>()
        for (const group of groups) raised.set(group, await incidents.open(groupSubject(group)))
        return restoreState(raised, Date.now())
      }, new Map()),
    keep: (notices) =>
      attempt(async () => {
        for (const notice of notices) {
          await (notice.state === 'resolved' ? incidents.resolve(notice) : incidents.raise(notice))
        }
      }, undefined),
  }
}
