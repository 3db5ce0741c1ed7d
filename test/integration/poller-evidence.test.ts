import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Postgres } from '../../lib/postgres.ts'
import { openBudget } from '../../lib/spotify/budget.ts'
import { toPermits } from '../../lib/spotify/permit.ts'
import { Operator } from '../../operations/operator.ts'
import { withEnrolmentPermits } from '../../operations/users/enrolment.ts'
import { setStatus } from '../../operations/users/set-status.ts'
import { claimDue, countUnreadable, isAnyFailing, recordFailure } from '../../services/poller/claims.ts'
import {
  areTokensRefused,
  isAnybodyServed,
  readRefusalEvidence,
  unparkRecent,
} from '../../services/poller/evidence.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'

const minute = 60_000
const day = 24 * 60 * minute
let stream: Stream
let postgres: Postgres

beforeAll(async () => {
  stream = await createStream()
  postgres = stream.openPostgres(3)
})
afterAll(async () => {
  await stream.release()
})
beforeEach(async () => {
  await postgres.query('truncate users, spotify_tokens, poll_state, incidents, api_pauses cascade')
  await postgres.query('insert into users (id, spotify_id) select n, n from generate_series(1, 6) n')
  await postgres.query('insert into poll_state (user_id) select id from users')
})

/** Gives users recent failures with this error. */
const fail = (error: string, ids: readonly number[]) =>
  postgres.query(
    `update poll_state set failures = 3, error_count = 3, last_error = $1, last_failed_at = now(),
       failing_since = now() - interval '3 h', error_since = now() - interval '3 h' where user_id = any($2)`,
    [error, ids],
  )
const stateOf = async (id: number) => {
  const { rows } = await postgres.query<{ last_error: string | null; error_since: Date | null }>(
    'select last_error, error_since from poll_state where user_id = $1',
    [id],
  )
  return rows[0]
}

describe('refused tokens', () => {
  test.each([
    ['are no outage where the consents ended on one day', 181 * day, false],
    ['are an outage while the consents live', 100 * day, true],
  ])('%s', async (_, agoMs, isOutage) => {
    await fail('invalid_grant', [1, 2, 3, 4])
    await postgres.query('update users set authorized_at = $1', [new Date(Date.now() - agoMs)])
    expect(await areTokensRefused(postgres)).toBe(isOutage)
  })

  test('are an outage while nobody knows when the users agreed', async () => {
    await fail('invalid_grant', [1, 2, 3, 4])
    await postgres.query('update users set authorized_at = null')
    expect(await areTokensRefused(postgres)).toBe(true)
  })

  test('that were taken for an outage keep nobody from connecting again; a pause of Spotify does', async () => {
    const budget = openBudget({ sql: postgres, clientId: 'enrol', dailyRequests: 100 })
    const gateway = {
      reserve: async (...[lane, count, how]: Parameters<typeof budget.reserve>) =>
        toPermits(budget, lane, await budget.reserve(lane, count, how)),
    }
    const enrol = () => withEnrolmentPermits(gateway, async ({ token }) => token.lane)
    await budget.pause({ lanes: ['accounts'], ms: 15 * minute, maxMs: null, reason: 'outage' })
    expect(await enrol()).toBe('accounts')
    await budget.pause({ lanes: ['accounts'], ms: 60 * minute, maxMs: null, reason: 'rate_limited' })
    await expect(enrol()).rejects.toThrow('Spotify asked for a pause')
    await budget.close()
  })
})

describe('refusals', () => {
  test('of parked users say nothing about others: their probes do not count', async () => {
    await fail('user_not_listed', [1, 2, 3, 4])
    await postgres.query(`update users set status = 'forbidden' where id = any($1)`, [[2, 3, 4]])
    expect(await readRefusalEvidence(postgres, 1, minute)).toMatchObject({ failing: 1, isMass: false })
  })

  test('are looked at beside those who were served within the longest plan and are not due', async () => {
    await fail('user_not_listed', [1, 2, 3])
    await postgres.query(
      `update poll_state set last_ok_at = now() - interval '18 min' where user_id in (1, 4)`,
    )
    expect(await isAnybodyServed(postgres, 20 * minute)).toBe(true)
    expect(await isAnybodyServed(postgres, 10 * minute)).toBe(false)
    await postgres.query(`update users set status = 'paused' where id = 4`)
    expect(await isAnybodyServed(postgres, 20 * minute)).toBe(false)
  })
})

describe('a user who is active again', () => {
  test('begins without a past when an operator resumes them', async () => {
    await fail('invalid_grant', [1])
    await postgres.query(`update users set status = 'needs_reauth' where id = 1`)
    const operator = new Operator(stream)
    await setStatus(operator, '1', { status: 'active', reason: null })
    await operator.close()
    expect(await stateOf(1)).toEqual({ last_error: null, error_since: null })
  })

  test('keeps what is known of their failures after an outage: it is what shows that it lasts', async () => {
    await fail('invalid_grant', [1])
    await postgres.query(
      `update users set status = 'needs_reauth', status_reason = 'invalid_grant', status_changed_at = now()
       where id = 1`,
    )
    expect(await unparkRecent(postgres, 'invalid_grant', day)).toEqual([1])
    expect(await stateOf(1)).toEqual({ last_error: 'invalid_grant', error_since: expect.any(Date) })
  })
})

test('an event about unreadable tokens ends when whoever has them is not polled any more', async () => {
  await fail('token_unreadable', [1])
  expect(await isAnyFailing(postgres, 'token_unreadable')).toBe(true)
  await postgres.query(`update users set status = 'paused' where id = 1`)
  expect(await isAnyFailing(postgres, 'token_unreadable')).toBe(false)
})

describe('answers that cannot be read', () => {
  const pollOnce = async (error: string) => {
    await postgres.query(`update poll_state set next_poll_at = now(), leased_until = null where user_id = 1`)
    const [user] = await claimDue(postgres, 1, minute)
    if (user) await recordFailure(postgres, user, error)
  }

  test('count from the first of them, not from a failure of another kind', async () => {
    await postgres.query(`update poll_state set next_poll_at = 'infinity'`)
    await fail('server_error', [1])
    await pollOnce('not_json')
    expect(await countUnreadable(postgres)).toBe(0)
  })

  test('are one row, in whatever way they cannot be read', async () => {
    await postgres.query(`update poll_state set next_poll_at = 'infinity'`)
    await fail('truncated_json', [1])
    await pollOnce('not_json')
    expect(await countUnreadable(postgres)).toBe(1)
  })
})

test('a pause that follows another within minutes goes on with it, and one after a success is another one', async () => {
  const budget = openBudget({ sql: postgres, clientId: 'pauses', dailyRequests: 100 })
  const pause = () => budget.pause({ lanes: ['polling'], ms: minute, maxMs: null, reason: 'rate_limited' })
  const age = async (ms: number, strikes: number) => {
    await postgres.query(
      `update api_pauses set strikes = $2, paused_from = paused_from - make_interval(secs => $1::float8 / 1000),
         paused_until = paused_until - make_interval(secs => $1::float8 / 1000) where lane = 'polling'`,
      [ms, strikes],
    )
    const { rows } = await postgres.query<{ from: Date }>(
      `select paused_from as from from api_pauses where lane = 'polling'`,
    )
    return rows[0]?.from
  }
  await pause()
  const from = await age(5 * minute, 1)
  await pause()
  expect(await age(0, 1)).toEqual(from)
  await age(5 * minute, 0)
  await pause()
  expect((await age(0, 1))?.getTime()).toBeGreaterThan(Number(from))
  await budget.close()
})
