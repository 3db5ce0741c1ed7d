import type { Env } from '../../lib/config.ts'
import { parseEnv, tokenKeysEnv } from '../../lib/config.ts'
import { isUnpolledForDays } from '../../lib/polling/judge.ts'
import { readPolling } from '../../lib/polling/read.ts'
import { readPollingConfig } from '../../lib/polling/rules.ts'
import type { Sql } from '../../lib/postgres.ts'
import { createTokenCrypto, UnreadableTokenError } from '../../lib/spotify/token-crypto.ts'
import { toPlural, toSpan } from '../../lib/words.ts'
import { describe } from '../fault.ts'
import { readTraces } from '../status/read-traces.ts'
import { toPollerStatus } from '../status/services.ts'
import type { Check, Notes } from './check.ts'
import type { UserState } from './user-trouble.ts'
import { toTrouble } from './user-trouble.ts'

export const usersCheck: Check = {
  name: 'users',
  looksAt: 'status, consent, scope, last success and open gaps of each user, whether the tokens can be read',
  withinMs: 15_000,
  hint: 'See the check of Postgres.',
  async run(operator, notes) {
    const { env } = operator
    const sql = await operator.postgres()
    const users = await readUserStates(sql, env.SPOTIFY_CLIENT_ID || null)
    if (users.length === 0) {
      notes.warn('users', 'nobody is connected', 'songswap users connect')
      return
    }
    noteStatuses(users, notes)
    await noteKeys(sql, env, notes)
    noteOtherApps(users, notes)
    await notePolling(sql, env, notes)
    noteTroubles(users, notes)
  },
}

/** @param clientId null if it is not set, which the check of the configuration reports */
async function readUserStates(sql: Sql, clientId: string | null): Promise<UserState[]> {
  const { rows } = await sql.query<UserState>(
    `select u.id, u.spotify_id as "spotifyId", u.display_name as "displayName", u.status,
       u.status_reason as "statusReason", u.authorized_at as "authorizedAt",
       s.last_ok_at as "lastOkAt", coalesce(s.failures, 0) as failures, s.last_error as "lastError",
       t.scope, case when t.client_id <> $1 then t.client_id end as "otherApp", coalesce(g.open, 0) as "openGaps"
     from users u
     left join poll_state s on s.user_id = u.id
     left join spotify_tokens t on t.user_id = u.id
     left join (select user_id, count(*) as open from gaps where closed_at is null group by user_id) g
       on g.user_id = u.id
     order by u.id`,
    [clientId],
  )
  return rows
}

function noteStatuses(users: readonly UserState[], notes: Notes): void {
  const byStatus = [...Map.groupBy(users, (user) => user.status)]
  const text = byStatus.map(([status, some]) => `${some.length} ${status}`).join(', ')
  if (users.some((user) => user.status === 'active')) notes.ok('status', text)
  else notes.fail('status', `nobody is polled: ${text}`, 'songswap users connect, or users resume')
}

/** Opens one token for each key: the token's header names its key, and opening it proves that the key is right. */
async function noteKeys(sql: Sql, env: Env, notes: Notes): Promise<void> {
  const crypto = createTokenCrypto(parseEnv(tokenKeysEnv, env).TOKEN_ENCRYPTION_KEYS)
  const { rows } = await sql.query<{ sealed: string; count: number }>(
    `select min(refresh_token) as sealed, count(*) as count from spotify_tokens
     group by split_part(refresh_token, '.', 1)`,
  )
  const faults: string[] = []
  for (const { sealed, count } of rows) {
    try {
      await crypto.open(sealed)
    } catch (error) {
      if (!(error instanceof UnreadableTokenError)) throw error
      faults.push(`${toPlural(count, 'user')}: ${describe(error)}`)
    }
  }
  for (const text of faults) {
    notes.fail('tokens', text, 'Put the lost key back into TOKEN_ENCRYPTION_KEYS, or let them connect again.')
  }
  if (faults.length === 0) notes.ok('tokens', `${toPlural(rows.length, 'key')} in use, at hand`)
}

/** Reports users who cannot be polled because another app got their tokens, and only that app can renew them. */
function noteOtherApps(users: readonly UserState[], notes: Notes): void {
  for (const [app, some] of Map.groupBy(users, (user) => user.otherApp)) {
    if (app === null) continue
    const names = some.slice(0, namesShown).map(({ id }) => id)
    const more = some.length > namesShown ? ` and ${some.length - namesShown} more` : ''
    const text = `${toPlural(some.length, 'user')} with tokens of the app ${app}, which is not SPOTIFY_CLIENT_ID: ${names.join(', ')}${more}`
    const hint = 'Set the id and secret of that app again, or let each connect: songswap users connect.'
    notes.fail('app of the tokens', text, hint)
  }
}

/** Checks that a poller runs and that it polls every user who is due. */
async function notePolling(sql: Sql, env: Env, notes: Notes): Promise<void> {
  const standing = await readPolling(sql, readPollingConfig(env))
  const { state, detail } = toPollerStatus(await readTraces(sql), standing, new Date())
  const start = 'Start it (docker compose up -d poller), or see its log.'
  if (state === 'alive' || standing.verdict === 'not_allowed') notes.ok('poller', detail)
  else if (state === 'down') notes.fail('poller', detail, start)
  else notes.warn('poller', detail, 'Look whether it runs: docker compose ps poller.')
  if (standing.verdict === 'stopped') {
    notes.fail(
      'polling',
      'users are due, and nobody is polled',
      "See the poller's log, and the check of Spotify.",
    )
  }
  const forDays = standing.unpolled.filter(isUnpolledForDays)
  const names = forDays.slice(0, namesShown).map((u) => `${u.userId} for ${toSpan(u.forMs)}`)
  if (forDays.length === 0) return
  const text = `${toPlural(forDays.length, 'user')} not polled: ${names.join(', ')}`
  notes.fail('unpolled', text, 'Their troubles stand below; plays are lost after 50 more.')
}

const namesShown = 10

function noteTroubles(users: readonly UserState[], notes: Notes): void {
  const now = new Date()
  const troubled = users.flatMap((user) => toTrouble(user, now) ?? [])
  const well = users.length - troubled.length
  if (troubled.length === 0) {
    notes.ok('users', `${toPlural(well, 'user')}, no trouble with any`)
    return
  }
  const text = `${troubled.length} of ${toPlural(users.length, 'user')} in trouble, ${well} well`
  notes.warn('users', text, 'songswap users connect renews a consent; songswap gaps show USER tells of gaps')
  notes.attach({ total: users.length, well, troubled })
}
