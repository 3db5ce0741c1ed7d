import { messageOf } from '../../lib/errors.ts'
import type { Notice } from '../../lib/events.ts'
import { withinMs } from '../../lib/lifecycle.ts'
import type { Logger } from '../../lib/log.ts'
import type { Postgres, Sql } from '../../lib/postgres.ts'
import type { Resource } from '../../lib/scope.ts'
import type { WarningDays } from '../../lib/spotify/consent.ts'
import { consentEndsAt, dueWarning, warnedBefore } from '../../lib/spotify/consent.ts'
import { notices } from './notices.ts'
import { createSleeper } from './sleeper.ts'

const everyMs = 10 * 60_000

/** Warns before consents end, at the start and every ten minutes. */
export function watchConsents(options: {
  postgres: Postgres
  /** Resolves when the event is in the topic. */
  publish: (notice: Notice) => Promise<void>
  log: Logger
}): Resource {
  const { postgres, publish, log } = options
  const sleeper = createSleeper()
  let stopped = false

  async function run(): Promise<void> {
    while (!stopped) {
      await warn(postgres, publish).catch((err) =>
        log.warn({ reason: messageOf(err) }, 'consents_not_looked_at'),
      )
      await sleeper.sleep(everyMs)
    }
  }
  const running = run()

  return {
    async close() {
      stopped = true
      sleeper.wake()
      // Kafka may be away: what is not told now is told after the next start.
      await withinMs(running, 2_000)
    },
  }
}

interface ConsentRow {
  userId: number
  displayName: string | null
  spotifyId: string
  authorizedAt: Date
  /** The last warning told; null: none. */
  days: number | null
  /** It was told of an earlier consent. */
  isStale: boolean
}

const watchLock = 7_241_865_325_823_966
/**
 * Tells what is due: published first and noted after, so that a crash between repeats an event and swallows
 * none. Of several pollers one looks at a time.
 */
function warn(postgres: Postgres, publish: (notice: Notice) => Promise<void>): Promise<void> {
  return postgres.transaction(async (sql) => {
    const lock = await sql.query<{ taken: boolean }>('select pg_try_advisory_xact_lock($1) as taken', [
      watchLock,
    ])
    if (!lock.rows[0]?.taken) return
    const now = new Date()
    for (const consent of await readConsents(sql, now)) await warnOne(sql, { consent, publish, now })
  })
}

async function warnOne(
  sql: Sql,
  at: { consent: ConsentRow; publish: (notice: Notice) => Promise<void>; now: Date },
): Promise<void> {
  const { consent, publish, now } = at
  if (consent.isStale) {
    await publish(notices.consentRenewed(consent))
    await sql.query('delete from consent_warnings where user_id = $1', [consent.userId])
  }
  const told = consent.isStale ? null : consent.days
  const days = dueWarning(consent.authorizedAt, { now, told })
  if (days === null) return
  await publish(notices.consentEnding(consent, { endsAt: consentEndsAt(consent.authorizedAt), now }))
  await noteWarning(sql, consent, days)
}

async function readConsents(sql: Sql, now: Date): Promise<ConsentRow[]> {
  const { rows } = await sql.query<ConsentRow>(
    `select u.id as "userId", u.display_name as "displayName", u.spotify_id as "spotifyId",
       u.authorized_at as "authorizedAt", w.days,
       coalesce(w.authorized_at <> u.authorized_at, false) as "isStale"
     from users u left join consent_warnings w on w.user_id = u.id
     where (u.authorized_at <= $1 and u.status <> 'needs_reauth' and w.days is distinct from 1)
       or w.authorized_at <> u.authorized_at
     order by u.authorized_at`,
    [warnedBefore(now)],
  )
  return rows
}

/** Unless the user has connected again meanwhile: then it was the old consent that was told of. */
async function noteWarning(sql: Sql, consent: ConsentRow, days: WarningDays): Promise<void> {
  await sql.query(
    `insert into consent_warnings (user_id, authorized_at, days)
     select id, authorized_at, $2 from users
     where id = $1 and date_trunc('milliseconds', authorized_at) = $3
     on conflict (user_id) do update set authorized_at = excluded.authorized_at, days = excluded.days,
       told_at = now()`,
    [consent.userId, days, consent.authorizedAt],
  )
}
