import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Notice, toEvent } from '../../lib/events.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { runSongswap, startSongswap } from '../support/songswap.ts'

let stream: Stream
let kafka: Kafka
let postgres: Postgres
const minuteMs = 60_000
const now = Date.now()

beforeAll(async () => {
  stream = await createStream()
  kafka = (await stream.openKafka()).kafka
  postgres = stream.openPostgres(2)
})
afterAll(async () => {
  await stream?.release()
})

async function tell(notice: Omit<Notice, 'severity'>, minutesAgo: number): Promise<void> {
  const at = now - minutesAgo * minuteMs
  const value = toEvent({ severity: 'warning', ...notice }, 'poller', at)
  await kafka.publish(stream.topology.events, [{ key: notice.subject, value, timestamp: at }])
}

describe('events', () => {
  test('are told in order, since when and of what one asks', async () => {
    await tell({ type: 'user_needs_reauth', subject: 'user:7', message: 'too old \u001b[31m' }, 60 * 30)
    await tell({ type: 'budget_short', subject: 'app', message: 'first' }, 90)
    await tell({ type: 'user_needs_reauth', subject: 'user:7', message: 'second' }, 60)
    await tell({ type: 'budget_short', subject: 'app', message: 'third', state: 'resolved' }, 30)
    const messages = async (...args: string[]) => {
      const { stdout } = await runSongswap(['events', '--json', ...args], stream.env)
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line).message)
    }
    expect(await messages()).toEqual(['first', 'second', 'third'])
    expect(await messages('--since', '40m')).toEqual(['third'])
    expect(await messages('--since', '7d', '--subject', 'user:7')).toHaveLength(2)
    expect(await messages('--type', 'budget_short')).toEqual(['first', 'third'])
    const { stdout } = await runSongswap(['events', '--since', '7d'], stream.env)
    expect(stdout).toMatch(/UTC {2}resolved {2}budget_short {2}app {2}\(poller\)\n {2}third/)
    expect(stdout).not.toContain('\u001b')
  })

  test('--follow tells what comes, and ends with 0 on Ctrl-C', async () => {
    const running = startSongswap(['events', '--follow', '--since', '1m'], stream.env)
    await tell({ type: 'spotify_paused', subject: 'app', message: 'Polling pauses.' }, 0)
    await running.says(/(Polling pauses)/)
    await kafka.publishBytes(stream.topology.events.name, [{ key: 'app', value: Buffer.from('no event') }])
    await running.says(/(cannot be decoded)/)
    running.interrupt()
    expect((await running.ended).code).toBe(0)
  })

  test('a type that does not exist is wrong usage', async () => {
    expect((await runSongswap(['events', '--type', 'nonsense'], stream.env)).code).toBe(2)
  })
})

describe('gaps', () => {
  async function addGap(user: number, fromMinutes: number, toMinutes: number, closedMinutes?: number) {
    const at = (minutes: number) => new Date(now - minutes * minuteMs)
    await postgres.query(
      'insert into gaps (user_id, after, before, detected_at, closed_at) values ($1, $2, $3, $4, $5)',
      [user, at(fromMinutes), at(toMinutes), at(toMinutes - 1), closedMinutes ? at(closedMinutes) : null],
    )
  }

  test('list shows the open ones, --all the closed ones too', async () => {
    await addGap(21, 300, 200)
    await addGap(22, 300, 200, 100)
    const list = async (...args: string[]) =>
      JSON.parse((await runSongswap(['gaps', 'list', '--json', ...args], stream.env)).stdout)
    expect(await list()).toMatchObject([{ userId: 21, closedAt: null }])
    expect(await list('--all', '--user', '22')).toMatchObject([{ userId: 22 }])
    const { stdout } = await runSongswap(['gaps', 'list', '--all'], stream.env)
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test('show tells what kept the user from being polled, and which page closed it', async () => {
    await tell({ type: 'user_forbidden', subject: 'user:31', message: 'not listed' }, 280)
    await tell({ type: 'user_forbidden', subject: 'user:31', message: '', state: 'resolved' }, 220)
    await tell({ type: 'user_forbidden', subject: 'user:32', message: 'somebody else' }, 280)
    await addGap(31, 300, 200, 100)
    await postgres.query(
      `insert into plays (user_id, played_at, track_id, source, page_partition, page_offset, ingested_at)
       select user_id, after + interval '10 minutes' * i, 't' || i, 'import', 3, 77, closed_at
       from gaps, generate_series(1, 4) i where user_id = 31`,
    )
    const { stdout } = await runSongswap(['gaps', 'show', '31', '--json'], stream.env)
    const [gap] = JSON.parse(stdout)
    expect(gap.why.join('\n')).toContain('user_forbidden')
    expect(gap.why.join('\n')).not.toContain('somebody else')
    expect(gap.closedBy).toEqual([{ source: 'import', partition: 3, offset: 77, plays: 4 }])
    const human = await runSongswap(['gaps', 'show', '31'], stream.env)
    expect(human.stdout).toContain('page 3/77 (import, 4 plays)')
    expect(human.stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test('show tells of a time without any page', async () => {
    await addGap(41, 110, 10)
    const { stdout } = await runSongswap(['gaps', 'show', '41', '--json'], stream.env)
    expect(JSON.parse(stdout)[0].why.join('\n')).toContain('No page of anybody')
  })

  test('somebody without gaps has none, and nobody is no user', async () => {
    await postgres.query(`insert into users (id, spotify_id) values (51, 'fifty-one')`)
    const none = await runSongswap(['gaps', 'show', 'fifty-one'], stream.env)
    expect([none.code, none.stderr]).toEqual([0, 'User fifty-one has no gaps.\n'])
    expect((await runSongswap(['gaps', 'show', 'nobody'], stream.env)).code).toBe(1)
  })
})
