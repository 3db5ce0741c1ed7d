import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DeadLetterInfo } from '../../lib/kafka/dead-letter.ts'
import { deadLetterHeaders, readOrigin } from '../../lib/kafka/dead-letter.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { Header } from '../../lib/kafka/record.ts'
import { headerText } from '../../lib/kafka/record.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { withLease } from '../../operations/lease.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { item, pageBody } from '../support/pages.ts'
import { startService } from '../support/service.ts'
import { runSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

let stream: Stream
let kafka: Kafka
let postgres: Postgres
const diedAt = Date.now() - 3_600_000

beforeAll(async () => {
  stream = await createStream()
  kafka = (await stream.openKafka()).kafka
  postgres = stream.openPostgres(2)
})
afterAll(async () => {
  await stream?.release()
})

const deadLetters = (args: string[]) => runSongswap(['dead-letters', ...args], stream.env)

async function json<T>(args: string[], code = 0): Promise<T> {
  const ended = await deadLetters([...args, '--json'])
  expect(ended.code, ended.stderr).toBe(code)
  return JSON.parse(ended.stdout)
}

interface Listed {
  partition: number
  offset: number
  state: string
  obituary: { reason: string; message: string } | null
}
const listEach = (...args: string[]) => json<Listed[]>(['list', '--each', '--state', 'all', ...args])

function bytesOfPage(user: number, body: Buffer): Promise<Buffer> {
  const value = { endpoint: 'recently-played', subject: String(user), source: 'poll', status: 200 }
  return stream.codec.encode(stream.topology.recentlyPlayed, { ...value, fetchedAt: Date.now(), body })
}

/** Publishes a dead letter as the Kafka module does; its message identifies it. */
async function bury(
  message: string,
  letter: {
    user?: number
    bytes?: Buffer
    headers?: Header[]
    info?: Partial<DeadLetterInfo>
    topic?: string
  },
): Promise<string> {
  const { user = 7, headers = [], topic = stream.topology.recentlyPlayed.name } = letter
  const value = letter.bytes ?? (await bytesOfPage(user, pageBody([item(Date.now() - 60_000, message)])))
  const original = { topic, partition: 3, offset: 41, timestamp: diedAt - 1000, bytes: value, headers }
  const key = Buffer.from(String(user))
  await kafka.publishBytes(stream.topology.deadLetters.name, [
    {
      ...{ key, value },
      headers: deadLetterHeaders(
        { ...original, key },
        {
          ...{ group: stream.topology.groups.loaderHistory, reason: 'handler_error', attempts: 1 },
          ...{ at: diedAt, message, ...letter.info },
        },
      ),
    },
  ])
  const buried = await stream.readTopic(stream.topology.deadLetters.name)
  const found = buried.find((r) => headerText(r, 'dlq.message') === message)
  return `${found?.partition}/${found?.offset}`
}

async function stateOf(place: string): Promise<string> {
  const { rows } = await postgres.query(
    `select decision from dead_letter_decisions where partition || '/' || "offset" = $1
     order by decided_at desc`,
    [place],
  )
  return rows[0]?.decision ?? 'open'
}

const redriven = async () =>
  (await stream.readTopic(stream.topology.recentlyPlayed.name)).filter((r) => headerText(r, 'redrive.group'))

describe('list', () => {
  test('groups by reason, consumer group and topic, and filters', async () => {
    await bury('one', { info: { reason: 'invalid_page' } })
    await bury('two', { info: { reason: 'invalid_page', at: diedAt + 5_000 } })
    await bury('three', { info: { reason: 'invalid_json', group: stream.topology.groups.archiver } })
    const groups = await json<Record<string, unknown>[]>(['list'])
    expect(groups).toContainEqual({
      reason: 'invalid_page',
      group: stream.topology.groups.loaderHistory,
      topic: stream.topology.recentlyPlayed.name,
      ...{ open: 2, redriven: 0, discarded: 0 },
      firstAt: new Date(diedAt).toISOString(),
      lastAt: new Date(diedAt + 5_000).toISOString(),
      example: { place: expect.stringMatching(/^\d\/\d+$/), message: 'two' },
    })
    // The prefix of the installation may be omitted.
    expect(await json(['list', '--group', 'archiver'])).toMatchObject([{ reason: 'invalid_json', open: 1 }])
    expect(await json(['list', '--since', new Date(diedAt + 1).toISOString()])).toMatchObject([{ open: 1 }])
    expect(await json(['list', '--since', '5m'])).toEqual([])
  })

  test('fits 80 columns', async () => {
    await bury('m'.repeat(300), {})
    for (const args of [['list'], ['list', '--each']]) {
      const { stdout } = await deadLetters(args)
      expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
    }
  })

  test('a record that nobody of ours put into the topic is shown, and cannot be redriven', async () => {
    const { name } = stream.topology.deadLetters
    await kafka.publishBytes(name, [{ key: 'x', value: Buffer.from('what is this'), partition: 1 }])
    expect(await json(['list', '--reason', 'not_ours'])).toMatchObject([{ open: 1, topic: '-' }])
    const outcome = await json(['redrive', '--reason', 'not_ours', '--execute'], 1)
    expect(outcome).toMatchObject({ done: 0, failures: [{ reason: 'no service put it there' }] })
  })
})

describe('show', () => {
  test('tells error, origin, headers, and the value in its own schema', async () => {
    const headers = [{ name: 'trace', value: Buffer.from('abc') }]
    const place = await bury('shown', { headers })
    const shown = await json<Record<string, unknown>>(['show', place])
    expect(shown).toMatchObject({
      state: 'open',
      obituary: { topic: stream.topology.recentlyPlayed.name, partition: 3, offset: 41, message: 'shown' },
      key: { text: '7' },
      value: { fields: { endpoint: 'recently-played', status: 200 }, body: { json: { items: [{}] } } },
    })
    const { stdout } = await deadLetters(['show', place])
    for (const text of ['handler_error', 'trace: abc', 'recently-played', '"played_at"']) {
      expect(stdout).toContain(text)
    }
  })

  test('bytes that no schema fits are shown as they are', async () => {
    const place = await bury('garbage', { bytes: Buffer.from([0, 0, 0, 255, 255, 7, 65, 66]) })
    const { code, stdout } = await deadLetters(['show', place])
    expect(code).toBe(0)
    expect(stdout).toContain('not decoded')
    expect(stdout).toContain('00 00 00 ff ff 07 41 42')
  })

  test('control characters of the record do not reach the terminal', async () => {
    const { stdout } = await deadLetters(['show', await bury('\u001b[31mred\u001b[0m', {})])
    expect(stdout).not.toContain('\u001b')
  })

  test.each([
    ['0/999999', 1, 'There is no dead letter'],
    ['99/0', 1, 'There is no dead letter'],
    ['nonsense', 2, 'PARTITION/OFFSET'],
  ])('%s ends with %d', async (place, code, words) => {
    const ended = await deadLetters(['show', place])
    expect(ended.code).toBe(code)
    expect(ended.stderr).toContain(words)
  })
})

describe('redrive', () => {
  test('changes nothing without --execute', async () => {
    const place = await bury('dry', {})
    const { code, stderr } = await deadLetters(['redrive', place])
    expect(code).toBe(0)
    expect(stderr).toContain('Nothing was changed')
    expect(await redriven()).toEqual([])
    expect(await stateOf(place)).toBe('open')
  })

  test('puts back key, bytes and headers as they were, for the group that failed', async () => {
    const user = 31
    const headers = [
      { name: 'trace', value: Buffer.from([1, 255]) },
      { name: 'trace', value: Buffer.from('second') },
    ]
    const bytes = await bytesOfPage(user, pageBody([]))
    const place = await bury('put back', { user, headers, bytes })
    await kafka.publishBytes(stream.topology.recentlyPlayed.name, [{ key: String(user), value: bytes }])
    expect(await json(['redrive', place, '--execute'])).toMatchObject({ done: 1, failures: [] })
    const mine = (await stream.readTopic(stream.topology.recentlyPlayed.name)).filter(
      (r) => r.key?.toString() === String(user),
    )
    expect(mine).toHaveLength(2)
    const [original, back] = mine
    expect(back?.partition).toBe(original?.partition)
    expect(back?.bytes?.equals(bytes)).toBe(true)
    expect(back?.headers).toEqual([
      ...headers,
      { name: 'redrive.group', value: Buffer.from(stream.topology.groups.loaderHistory) },
    ])
    expect(await stateOf(place)).toBe('redriven')
  })

  test('what was redriven is not redriven again, unless asked to', async () => {
    const place = await bury('twice', { info: { reason: 'unknown_kind' } })
    const args = ['redrive', '--reason', 'unknown_kind', '--execute']
    expect(await json(args)).toMatchObject({ done: 1 })
    const before = (await redriven()).length
    expect(await json(args)).toMatchObject({ done: 0 })
    expect(await json(['redrive', place, '--execute'])).toMatchObject({
      done: 0,
      decided: [{ place, state: 'redriven' }],
    })
    expect((await redriven()).length).toBe(before)
    expect(await json([...args, '--again'])).toMatchObject({ done: 1 })
    expect((await redriven()).length).toBe(before + 1)
    expect(await json(['show', place])).toMatchObject({ decision: { state: 'redriven', redrives: 2 } })
  })

  test('several places of one partition are redriven at once', async () => {
    const places = [await bury('p1', { user: 50 }), await bury('p2', { user: 50 })]
    expect(new Set(places.map((p) => p.split('/')[0])).size).toBe(1)
    expect(await json(['redrive', ...places, '--execute'])).toMatchObject({ done: 2 })
  })

  test.each([
    ['a topic that is not of the stream', { topic: 'somewhere.else' }],
    ['a topic that the group does not read', { info: { group: 'loader.metadata' } }],
    ['a group that is not of the stream', { info: { group: 'stranger' } }],
  ])('headers that name %s publish nothing', async (_what, letter) => {
    const before = (await redriven()).length
    const { info } = letter as { info?: { group: string } }
    const group = info?.group === 'loader.metadata' ? stream.topology.groups.loaderMetadata : info?.group
    const place = await bury(`foreign ${JSON.stringify(letter)}`, {
      ...letter,
      ...(group && { info: { group } }),
    })
    expect(await json(['redrive', place, '--execute'], 1)).toMatchObject({ done: 0, failures: [{ place }] })
    expect((await redriven()).length).toBe(before)
    expect(await stateOf(place)).toBe('open')
  })

  test('one decides at a time', async () => {
    const place = await bury('locked', {})
    await withLease(postgres, { name: 'decide', signal: AbortSignal.timeout(60_000) }, async () => {
      const { code, stderr } = await deadLetters(['redrive', place, '--execute'])
      expect(code).toBe(1)
      expect(stderr).toContain('Somebody else')
    })
    expect(await stateOf(place)).toBe('open')
  })

  test.each([[[]], [['--all', '--reason', 'x']], [['0/1', '--all']], [['nonsense']]])(
    '%j is wrong usage',
    async (args) => {
      expect((await deadLetters(['redrive', ...args])).code).toBe(2)
    },
  )
})

describe('discard', () => {
  test('notes why, and is not taken back by --all --again', async () => {
    const place = await bury('discarded', { info: { reason: 'lookup_failed' } })
    expect((await deadLetters(['discard', place, '--note', 'test data'])).code).toBe(0)
    expect(await stateOf(place)).toBe('open')
    await json(['discard', place, '--note', 'test data', '--execute'])
    expect(await json(['show', place])).toMatchObject({ decision: { state: 'discarded', note: 'test data' } })
    expect(await json(['list', '--reason', 'lookup_failed'])).toEqual([])
    const again = ['redrive', '--reason', 'lookup_failed', '--again', '--execute']
    expect(await json(again)).toMatchObject({ done: 0 })
    expect(await json(['redrive', place, '--again', '--execute'])).toMatchObject({ done: 1 })
    expect(await stateOf(place)).toBe('redriven')
  })

  test('a dead letter of a topic made anew is open, whatever was decided on its place before', async () => {
    const place = await bury('fresh', {})
    const [partition, offset] = place.split('/')
    await postgres.query(
      `insert into dead_letter_decisions (partition, "offset", died_at, decision)
       values ($1, $2, now() - interval '30 days', 'discarded')`,
      [partition, offset],
    )
    const listed = (await listEach()).find((l) => `${l.partition}/${l.offset}` === place)
    expect(listed?.state).toBe('open')
  })
})

test('a redriven record is stored when its fault is gone, and else dies again as a new dead letter', async () => {
  const userId = 4711
  const good = await bury('mended', { user: userId, info: { reason: 'invalid_page', at: Date.now() } })
  const stillBad = await bury('still bad', {
    user: userId,
    bytes: await bytesOfPage(userId, Buffer.from('<html>')),
    info: { reason: 'invalid_json', at: Date.now() },
  })
  await startService('loader', { ...stream.env, LOG_LEVEL: 'info' })
  await json(['redrive', good, stillBad, '--execute'])
  const count = async () => {
    const { rows } = await postgres.query('select count(*) as n from plays where user_id = $1', [userId])
    return rows[0].n
  }
  await until(async () => (await count()) === 1, 'the play is stored')
  const again = await until(async () => {
    const records = await stream.readTopic(stream.topology.deadLetters.name)
    const reborn = records.filter((r) => r.key?.toString() === String(userId)).map((r) => readOrigin(r))
    return (
      reborn.length === 3 && reborn.find((o) => o?.reason === 'invalid_json' && o.message !== 'still bad')
    )
  }, 'the other one dies again')
  expect(again).toMatchObject({ group: stream.topology.groups.loaderHistory, attempts: 1 })
  const states = (await listEach('--since', '5m', '--group', 'loader.history')).map((l) => [
    l.obituary?.message,
    l.state,
  ])
  expect(states).toContainEqual(['mended', 'redriven'])
  expect(states).toContainEqual(['still bad', 'redriven'])
  expect(states.filter(([, state]) => state === 'open')).toHaveLength(1)
})
