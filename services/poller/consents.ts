import type { Notice } from '../../lib/events.ts'
import type { Logger } from '../../lib/log.ts'
import { startPeriodicWork } from '../../lib/periodic-work.ts'
import type { Postgres, Sql } from '../../lib/postgres.ts'
import type { Resource } from '../../lib/scope.ts'
import type { WarningDays } from '../../lib/spotify/consent.ts'
import { consentEndsAt, dueWarning, warnedBefore } from '../../lib/spotify/consent.ts'
import { notices } from './notices.ts'

const everyMs = 10 * 60_000

/** Warns before consents end, at the start and every ten minutes. */
export function watchConsents(options: {
  postgres: Postgres
  /** Resolves when the event is in the topic. */
  publish: (notice: Notice) => Promise<void>
  log: Logger
}): Resource {
  const { postgres, publish, log } = options
  async function work(stop: AbortSignal): Promise<void> {
    for (const userId of await readUsersWithNews(postgres, new Date())) {
      if (stop.aborted) return
      let isMore = true
      while (isMore) isMore = await postgres.transaction((sql) => warn(sql, { userId, publish }))
    }
  }
  return startPeriodicWork({ everyMs, work, log, failed: 'consents_not_looked_at' })
}

interface ConsentRow {
  userId: number
  displayName: string | null
  spotifyId: string
  /** Null if not known. */
  authorizedAt: Date | null
  /** As Postgres has it, to the microsecond. */
  authorizedText: string
  /** The last warning published, or null if none. */
  days: number | null
  /** The warning was about an earlier consent. */
  isStale: boolean
}

/** Makes consents of unknown age comparable: they equal only each other. */
const authorized = `coalesce(u.authorized_at, '-infinity')`
/** The user may need a warning, or the end of one. */
const hasNews = `(${authorized} <= $1 and u.status <> 'needs_reauth' and w.days is distinct from 1)
  or w.authorized_at <> ${authorized}`

async function readUsersWithNews(sql: Sql, now: Date): Promise<number[]> {
  const { rows } = await sql.query<{ id: number }>(
    `select u.id from users u left join consent_warnings w on w.user_id = u.id
     where ${hasNews} order by u.authorized_at nulls first`,
    [warnedBefore(now)],
  )
  return rows.map(({ id }) => id)
}

/**
 * Publishes one event about a consent and then records it: a crash in between may repeat the event but never loses
 * it. An advisory lock keeps other pollers from the user. A consent given meanwhile makes the warning stale, which
 * the next run notices.
 *
 * @returns whether the user may have another event
 */
async function warn(
  sql: Sql,
  at: { userId: number; publish: (notice: Notice) => Promise<void> },
): Promise<boolean> {
  const now = new Date()
  const consent = await lockConsent(sql, at.userId, now)
  if (!consent) return false
  if (consent.isStale) {
    await at.publish(notices.consentRenewed(consent))
    await sql.query('delete from consent_warnings where user_id = $1', [consent.userId])
    return true
  }
  const { authorizedAt, days: told } = consent
  const days = dueWarning(authorizedAt, { now, told })
  if (days === null) return false
  await at.publish(
    notices.consentEnding(consent, { endsAt: authorizedAt && consentEndsAt(authorizedAt), now }),
  )
  await noteWarning(sql, consent, days)
  return false
}

/** Null if another poller has the lock, or nothing is left to publish. */
async function lockConsent(sql: Sql, userId: number, now: Date): Promise<ConsentRow | null> {
  // Not a row lock: publishing may take long, and polling and connecting need the user's row.
  const lock = await sql.query<{ taken: boolean }>(
    `select pg_try_advisory_xact_lock(hashtextextended('consent', $1)) as taken`,
    [userId],
  )
  if (!lock.rows[0]?.taken) return null
  const { rows } = await sql.query<ConsentRow>(
    `select u.id as "userId", u.display_name as "displayName", u.spotify_id as "spotifyId",
       u.authorized_at as "authorizedAt", ${authorized}::text as "authorizedText", w.days,
       coalesce(w.authorized_at <> ${authorized}, false) as "isStale"
     from users u left join consent_warnings w on w.user_id = u.id
     where u.id = $2 and (${hasNews})`,
    [warnedBefore(now), userId],
  )
  return rows[0] ?? null
}

async function noteWarning(sql: Sql, consent: ConsentRow, days: WarningDays): Promise<void> {
  await sql.query(
    `insert into consent_warnings (user_id, authorized_at, days)
     select id, $3::timestamptz, $2 from users where id = $1
     on conflict (user_id) do update set authorized_at = excluded.authorized_at, days = excluded.days,
       told_at = now()`,
    [consent.userId, days, consent.authorizedText],
  )
}
