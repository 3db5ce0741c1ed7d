import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { RetriableError } from '../../lib/errors.ts'
import { Health } from '../../lib/health.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import type { ValueRecord } from '../../lib/kafka/record.ts'
import { headerText } from '../../lib/kafka/record.ts'
import type { Handler } from '../../lib/kafka/sink.ts'
import { metrics } from '../../lib/metrics.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import type { MetadataRequest, OperationalEvent, Topic } from '../../lib/topology.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { refusedFetches } from '../support/refused-fetches.ts'
import { stepClock } from '../support/step-clock.ts'
import { until } from '../support/until.ts'

let stream: Stream
let admin: Admin
let topic: Topic<MetadataRequest>

beforeAll(async () => {
  stream = await createStream()
  admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  topic = stream.topology.metadataWanted
})
afterAll(async () => {
  await admin.close()
  await stream.release()
})

const request = (id: string): MetadataRequest => ({ kind: 'artist', id, requestedAt: 1 })

/** Makes a new topic, so that tests do not see one another's records. */
async function freshTopic(
  partitions = 2,
  more: Partial<Pick<Topic, 'cleanup'>> = {},
): Promise<Topic<MetadataRequest>> {
  const fresh = { ...topic, ...more, name: `${stream.config.prefix}t-${crypto.randomUUID()}`, partitions }
  await admin.ensureTopics([fresh], 1)
  const { registryUrl } = stream.config
  await fetch(`${registryUrl}/subjects/${fresh.name}-value/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(fresh.schema) }),
  })
  return fresh
}

/** A handler that only records the ids. */
const pushIdsTo =
  (ids: string[]): Handler<MetadataRequest> =>
  (records) =>
  async () => {
    ids.push(...records.map((r) => r.value.id))
    return []
  }

/** For each of two partitions about three times the bytes that may wait. */
const largeIds = () => Array.from({ length: 120 }, (_, i) => `${i} ${randomBytes(75_000).toString('base64')}`)
const toRecord = (id: string, i: number) => ({ key: `artist:${i}`, value: request(id) })

const newGroup = () => `${stream.config.prefix}g-${crypto.randomUUID()}`

async function committed(group: string, name: string): Promise<number> {
  const lag = await admin.readGroupLag(group, [name])
  return lag.partitions.reduce((sum, p) => sum + (p.committed ?? 0), 0)
}

const deadLettersOf = async (group: string) =>
  (await stream.readTopic(stream.topology.deadLetters.name)).filter(
    (r) => headerText(r, 'dlq.group') === group,
  )

describe('consuming', () => {
  test('hands over every record once, in order per partition, and commits after the effect', async () => {
    const t = await freshTopic()
    const group = newGroup()
    const { kafka } = await stream.openKafka()
    await kafka.publish(
      t,
      Array.from({ length: 500 }, (_, i) => ({ key: `artist:${i % 7}`, value: request(String(i)) })),
    )
    const seen: ValueRecord<MetadataRequest>[] = []
    await kafka.consume({
      group,
      topic: t,
      batchMaxRecords: 50,
      handler: (records) => async () => {
        expect(await committed(group, t.name)).toBeLessThanOrEqual(seen.length)
        seen.push(...records)
        return []
      },
    })
    await until(async () => (await committed(group, t.name)) === 500, 'all are committed')
    expect(seen.map((r) => Number(r.value.id)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 500 }, (_, i) => i),
    )
    for (const key of new Set(seen.map((r) => String(r.key)))) {
      const ids = seen.filter((r) => String(r.key) === key).map((r) => Number(r.value.id))
      expect(ids).toEqual(ids.toSorted((a, b) => a - b))
    }
  })

  test('an outage pauses the partition: the same batch comes again, nothing is dead-lettered, heartbeats go on', async () => {
    const t = await freshTopic()
    const group = newGroup()
    const { kafka, health } = await stream.openKafka()
    await kafka.publish(t, [{ key: 'artist:a', value: request('a') }])
    let away = true
    let tries = 0
    await kafka.consume({
      group,
      topic: t,
      handler: () => async () => {
        tries++
        if (away) throw new RetriableError('the database is away', { retryAfterMs: 100 })
        return []
      },
    })
    await until(() => tries >= 5, 'it was tried several times')
    expect(health.report()).toMatchObject({ alive: true, ready: false })
    away = false
    await until(async () => (await committed(group, t.name)) === 1, 'it is committed')
    expect(await deadLettersOf(group)).toEqual([])
  })

  test('a bug in the pure half costs only the records that show it, and even a TypeError does not stop the consumer', async () => {
    const t = await freshTopic()
    const group = newGroup()
    const { kafka, failures } = await stream.openKafka()
    await kafka.publish(
      t,
      Array.from({ length: 100 }, (_, i) => ({ key: `artist:${i % 5}`, value: request(String(i)) })),
    )
    const stored = new Set<string>()
    await kafka.consume({
      group,
      topic: t,
      handler: (records) => {
        if (records.some((r) => r.value.id === '13' || r.value.id === '77'))
          throw new TypeError('x is not a function')
        return async () => {
          for (const r of records) stored.add(r.value.id)
          return []
        }
      },
    })
    await until(async () => (await committed(group, t.name)) === 100, 'all are committed')
    expect(stored.size).toBe(98)
    const dead = await deadLettersOf(group)
    expect(dead.map((r) => headerText(r, 'dlq.reason'))).toEqual(['handler_error', 'handler_error'])
    expect(failures).toEqual([])
  })

  test('what an effect throws is an outage, whatever it is, and the batch comes again', async () => {
    const t = await freshTopic(1)
    const group = newGroup()
    const { kafka, failures } = await stream.openKafka()
    await kafka.publish(t, [{ key: 'artist:a', value: request('a') }])
    const thrown: unknown[] = [
      new TypeError("Cannot read properties of null (reading 'name')"),
      Object.assign(new Error('prepared statement exists'), { code: '42P05' }),
      'not even an Error',
    ]
    await kafka.consume({
      group,
      topic: t,
      handler: () => async () => {
        if (thrown.length > 0) throw thrown.shift()
        return []
      },
    })
    await until(async () => (await committed(group, t.name)) === 1, 'it is committed')
    expect(await deadLettersOf(group)).toEqual([])
    expect(failures).toEqual([])
  })

  test('a row that Postgres refuses costs only its record', async () => {
    const t = await freshTopic(1)
    const group = newGroup()
    const { kafka } = await stream.openKafka()
    const url = new Secret(stream.env.DATABASE_URL ?? '')
    const postgres = openPostgres({ url, connections: 1, name: 'test', log: stream.log })
    onTestFinished(() => postgres.close())
    const ids = Array.from({ length: 20 }, (_, i) => (i === 7 ? 'a name with a NUL \0' : `name ${i}`))
    await kafka.publish(
      t,
      ids.map((id) => ({ key: 'artist:a', value: request(id) })),
    )
    const stored = new Set<string>()
    await kafka.consume({
      group,
      topic: t,
      handler: (records) => async () => {
        const sent = records.map((r) => r.value.id)
        const { rows } = await postgres.query('select unnest($1::text[]) as id', [sent])
        for (const { id } of rows) stored.add(id)
        return []
      },
    })
    await until(async () => (await committed(group, t.name)) === 20, 'all are committed')
    expect(stored.size).toBe(19)
    expect((await deadLettersOf(group)).map((r) => headerText(r, 'dlq.offset'))).toEqual(['7'])
  })

  test('a dead letter keeps key, value bytes and headers, and says where it came from and why', async () => {
    const t = await freshTopic(1)
    const group = newGroup()
    const { kafka } = await stream.openKafka()
    const headers = [{ name: 'trace', value: Buffer.from('1') }]
    const longAgo = Date.now() - 6 * 86_400_000
    await kafka.publish(t, [{ key: 'artist:a', value: request('a'), headers, timestamp: longAgo }])
    const [original] = await stream.readTopic(t.name)
    await kafka.consume({
      group,
      topic: t,
      handler: (records) => async () =>
        records.map((record) => ({ record, reason: 'invalid_record', message: 'nö' })),
    })
    const [dead] = await until(async () => {
      const found = await deadLettersOf(group)
      return found.length > 0 ? found : null
    }, 'the dead letter is there')
    expect(dead).toMatchObject({ key: original?.key, bytes: original?.bytes })
    const text = (name: string) => headerText(dead ?? { headers: [] }, name)
    expect(text('trace')).toBe('1')
    expect(text('dlq.topic')).toBe(t.name)
    expect(text('dlq.partition')).toBe('0')
    expect(text('dlq.offset')).toBe('0')
    expect(text('dlq.timestamp')).toBe(String(longAgo))
    expect(text('dlq.reason')).toBe('invalid_record')
    expect(text('dlq.message')).toBe('nö')
    expect(text('dlq.attempts')).toBe('1')
    // Its timestamp is the time of its death, from which the topic counts the 90 days.
    expect(Number(text('dlq.at'))).toBe(dead?.timestamp)
    expect(dead?.timestamp).toBeGreaterThan(longAgo + 86_400_000)
  })

  test.each([
    ['no_value', null],
    ['not_framed', Buffer.from('hello')],
    ['unknown_schema', Buffer.from([0, 0x7f, 0xff, 0xff, 0xf0, 1])],
  ])(
    'an undecodable value (%s) is dead-lettered untouched, its neighbours are handled',
    async (reason, value) => {
      const t = await freshTopic(1)
      const group = newGroup()
      const { kafka } = await stream.openKafka()
      await kafka.publish(t, [{ key: 'artist:a', value: request('before') }])
      await kafka.publishBytes(t.name, [{ key: 'artist:a', value }])
      await kafka.publish(t, [{ key: 'artist:a', value: request('after') }])
      const ids: string[] = []
      await kafka.consume({
        group,
        topic: t,
        handler: pushIdsTo(ids),
      })
      await until(async () => (await committed(group, t.name)) === 3, 'all are committed')
      expect(ids).toEqual(['before', 'after'])
      const dead = await deadLettersOf(group)
      expect(dead).toHaveLength(1)
      expect(dead[0]?.bytes).toEqual(value)
      expect(dead.map((r) => headerText(r, 'dlq.reason'))).toEqual([reason])
    },
  )

  test('what is settled is freed, and nothing that came with it before its turn', async () => {
    // A compacted topic refuses records without a key.
    const t = await freshTopic(1, { cleanup: 'delete' })
    const group = newGroup()
    const { kafka } = await stream.openKafka()
    const ids = Array.from({ length: 200 }, (_, i) => `${i} ${'x'.repeat(2_000)}`)
    const values = await Promise.all(ids.map((id) => stream.codec.encode(t, request(id))))
    // One record in ten is empty, one is undecodable. All come together, in one piece of memory.
    const sent = values.map((value, i) => {
      if (i % 10 === 3) return { key: null, value: null }
      const headers = [{ name: 'n', value: Buffer.from(String(i)) }]
      return { key: `artist:${i}`, headers, value: i % 10 === 7 ? Buffer.from(`no value ${i}`) : value }
    })
    await kafka.publishBytes(t.name, sent)
    const handled: ValueRecord<MetadataRequest>[] = []
    const seen: string[] = []
    let tries = 0
    await kafka.consume({
      group,
      topic: t,
      // Makes a batch begin with an empty record.
      batchMaxRecords: 13,
      freesRecords: true,
      handler: (records) => async () => {
        if (tries++ % 3 === 1) throw new RetriableError('away', { retryAfterMs: 1 })
        handled.push(...records)
        for (const { key, bytes, headers, value } of records) {
          const n = headerText({ headers }, 'n')
          expect(bytes?.equals(values[Number(n)] ?? Buffer.alloc(0))).toBe(true)
          seen.push(`${key} ${n} ${value.id}`)
        }
        return []
      },
    })
    await until(async () => (await committed(group, t.name)) === 200, 'all are committed')
    const isValue = (_: unknown, i: number) => ![3, 7].includes(i % 10)
    expect(seen).toEqual(ids.map((id, i) => `artist:${i} ${i} ${id}`).filter(isValue))
    const dead = await deadLettersOf(group)
    const ofDead = dead.map((r) => `${r.key} ${headerText(r, 'n')} ${r.bytes}`).sort()
    const bad = sent.map(({ key, value }, i) => `${key} ${key && i} ${value}`)
    expect(ofDead).toEqual(bad.filter((text, i) => !isValue(text, i)).sort())
    await until(() => handled.every(({ bytes }) => bytes?.length === 0), 'all of it is freed')
  })

  test('a consumer that has no room for any partition stays a member, and goes on when there is', async () => {
    const t = await freshTopic()
    const group = newGroup()
    const { kafka } = await stream.openKafka()
    const ids = largeIds()
    await kafka.publish(t, ids.map(toRecord))
    const seen: string[] = []
    let isHeld = true
    await kafka.consume({
      group,
      topic: t,
      batchMaxRecords: 5,
      handler: (records) => async () => {
        await until(() => !isHeld, 'there is room', 60_000)
        seen.push(...records.map((r) => r.value.id))
        return []
      },
    })
    const heartbeats = observeHeartbeats(group)
    await until(
      () => heartbeats.answered() > heartbeatsPerSession,
      'it is a member for longer than one may be silent',
    )
    heartbeats.restore()
    isHeld = false
    await until(async () => (await committed(group, t.name)) === ids.length, 'all are committed', 60_000)
    expect(seen.toSorted()).toEqual(ids.toSorted())
  })

  test('a consumer that is stopped without room for any partition leaves its group, though a handler hangs', async () => {
    const t = await freshTopic()
    const group = newGroup()
    const { kafka } = await stream.openKafka()
    await kafka.publish(t, largeIds().map(toRecord))
    const handled = new Set<number>()
    const hanging = Promise.withResolvers<never[]>()
    await kafka.consume({
      group,
      topic: t,
      batchMaxRecords: 5,
      handler:
        ([first]) =>
        () => {
          handled.add(first?.partition ?? -1)
          return hanging.promise
        },
    })
    const members = async () => (await admin.readGroupLag(group, [t.name])).members
    await until(() => handled.size === 2, 'both partitions are in work')
    // By then further fetches have filled the queues.
    const heartbeats = observeHeartbeats(group)
    await until(() => heartbeats.answered() >= 2, 'it goes on as a member')
    heartbeats.restore()
    expect(await members()).toBe(1)
    await kafka.close()
    expect(await members()).toBe(0)
    hanging.resolve([])
  })

  test('records redriven to another group are skipped', async () => {
    const t = await freshTopic(1)
    const [mine, other] = [newGroup(), newGroup()]
    const { kafka } = await stream.openKafka()
    const forGroup = (group: string) => [{ name: 'redrive.group', value: Buffer.from(group) }]
    await kafka.publish(t, [
      { key: 'artist:a', value: request('all') },
      { key: 'artist:a', value: request('mine'), headers: forGroup(mine) },
      { key: 'artist:a', value: request('other'), headers: forGroup(other) },
    ])
    const ids: string[] = []
    await kafka.consume({
      group: mine,
      topic: t,
      handler: pushIdsTo(ids),
    })
    await until(async () => (await committed(mine, t.name)) === 3, 'all are committed')
    expect(ids).toEqual(['all', 'mine'])
  })

  test('a flood of dead letters stops the group with one event, and it goes on when the cause is gone', async () => {
    const t = await freshTopic(1)
    const group = newGroup()
    const flood = { maxRatio: 0.5, minDeadLetters: 20, windowRecords: 50 }
    const { kafka, health } = await stream.openKafka('flood', { flood })
    await kafka.publish(
      t,
      Array.from({ length: 200 }, (_, i) => ({ key: 'artist:a', value: request(String(i)) })),
    )
    let isBroken = true
    let trials = 0
    const handled: string[] = []
    await kafka.consume({
      group,
      topic: t,
      batchMaxRecords: 10,
      handler: (records) => async () => {
        trials++
        if (isBroken)
          return records.map((record) => ({ record, reason: 'invalid_json', message: 'a bad deploy' }))
        handled.push(...records.map((r) => r.value.id))
        return []
      },
    })
    const events = async () => {
      const records = await stream.readTopic(stream.topology.events.name)
      const decoded = await Promise.all(records.map((r) => stream.codec.decode<OperationalEvent>(r.bytes)))
      return decoded.flatMap((d) =>
        d.type === 'value' && d.value.subject === `group:${group}` ? [d.value] : [],
      )
    }
    await until(async () => (await events()).length > 0, 'the event is raised')
    expect(health.report()).toMatchObject({ alive: true, ready: false })
    const trialsBefore = trials
    await until(() => trials > trialsBefore, 'it is tried again')
    expect(await deadLettersOf(group)).toHaveLength(10)
    isBroken = false
    await until(async () => (await committed(group, t.name)) === 200, 'everything is taken', 60_000)
    expect(handled).toHaveLength(190)
    expect((await events()).map((e) => [e.type, e.state])).toEqual([
      ['dead_letter_flood', 'raised'],
      ['dead_letter_flood', 'resolved'],
    ])
  }, 120_000)

  test('a flood in one partition is stopped there, whatever its neighbours and idle moments say', async () => {
    const t = await freshTopic(2)
    const group = newGroup()
    const { kafka } = await stream.openKafka()
    const bad = (n: number) =>
      kafka.publishBytes(
        t.name,
        Array.from({ length: n }, () => junk(0)),
      )
    const junk = (partition: number) => ({
      key: 'artist:a',
      value: Buffer.from('no value of ours'),
      partition,
    })
    const good: string[] = []
    await kafka.consume({ group, topic: t, handler: pushIdsTo(good) })
    const value = await stream.codec.encode(t, request('good'))
    await bad(9)
    await until(async () => (await deadLettersOf(group)).length === 9, 'a few are dead letters')
    let sent = 0
    const publishGood = () =>
      kafka.publishBytes(t.name, [{ key: 'artist:b', value, partition: 1 }]).then(() => sent++)
    // Slowly, between good records of the other partition and idle moments.
    for (let round = 0; round < 3; round++) {
      await bad(2)
      await publishGood()
      await until(() => good.length === sent, 'the neighbour goes on')
      await sleep(1_100)
    }
    expect(await deadLettersOf(group)).toHaveLength(9)
  }, 60_000)

  test('an effect that hangs makes /healthz fail, also when a rebalance has passed its partition on', async () => {
    const t = await freshTopic(2)
    const group = newGroup()
    const [one, two] = [await stream.openKafka('one'), await stream.openKafka('two')]
    const hanging = Promise.withResolvers<never[]>()
    onTestFinished(() => hanging.resolve([]))
    let entered = 0
    const consume = (kafka: typeof one.kafka) =>
      kafka.consume({
        group,
        topic: t,
        stuckAfterMs: 4_000,
        handler: () => () => {
          entered++
          return hanging.promise
        },
      })
    await one.kafka.publish(
      t,
      Array.from({ length: 8 }, (_, i) => ({ key: `artist:${i}`, value: request(`${i}`) })),
    )
    await consume(one.kafka)
    await until(() => entered === 2, 'both partitions are in work')
    await consume(two.kafka)
    await until(() => entered === 3, 'the second member has its share')
    // The first member waits for the work of its previous assignment.
    expect(one.health.report().ready).toBe(false)
    await until(() => !one.health.report().alive, 'it is seen', 10_000)
    hanging.resolve([])
    await until(() => one.health.report().alive && one.health.report().ready, 'it is well again')
  }, 60_000)

  test('a stop that begins while a crash waits for a hung handler does not wait for it', async () => {
    const t = await freshTopic(1)
    const { kafka, health } = await stream.openKafka()
    const hanging = Promise.withResolvers<never[]>()
    onTestFinished(() => hanging.resolve([]))
    const entered = Promise.withResolvers<void>()
    const group = newGroup()
    await kafka.publish(t, [{ key: 'a', value: request('1') }])
    const handler = () => () => {
      entered.resolve()
      return hanging.promise
    }
    await kafka.consume({ group, topic: t, handler })
    await entered.promise
    const fetches = refusedFetches(t.name, { code: withoutRight })
    const detail = () => health.report().parts[`consumer ${group}`]?.detail
    await until(() => detail() === 'joining the group', 'it has crashed')
    fetches.restore()
    let isClosed = false
    const close = async () => {
      await kafka.close()
      isClosed = true
    }
    const closing = close()
    await until(() => isClosed, 'it has stopped', 20_000)
    await closing
  })

  test('after close no handler is called any more, and the batch in hand was committed', async () => {
    const t = await freshTopic(1)
    const group = newGroup()
    const { kafka } = await stream.openKafka()
    await kafka.publish(
      t,
      Array.from({ length: 20 }, (_, i) => ({ key: 'artist:a', value: request(String(i)) })),
    )
    let handled = 0
    let entered = () => {}
    const inHand = new Promise<void>((resolve) => {
      entered = resolve
    })
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    await kafka.consume({
      group,
      topic: t,
      batchMaxRecords: 5,
      handler: (records) => async () => {
        entered()
        await held
        handled += records.length
        return []
      },
    })
    await inHand
    const closed = kafka.close()
    release()
    await closed
    expect(handled).toBe(5)
    expect(await committed(group, t.name)).toBe(5)
  })

  test('a rebalance loses nothing: what a second member takes over is handled', async () => {
    const t = await freshTopic(6)
    const group = newGroup()
    const [one, two] = [await stream.openKafka('one'), await stream.openKafka('two')]
    const seen = new Map<string, number>()
    const owners = { one: 0, two: 0 }
    const handler = (owner: 'one' | 'two') => (records: ValueRecord<MetadataRequest>[]) => async () => {
      owners[owner] += records.length
      for (const r of records) seen.set(r.value.id, (seen.get(r.value.id) ?? 0) + 1)
      return []
    }
    let published = 0
    const publishSome = async () => {
      const values = Array.from({ length: 60 }, () => published++)
      await one.kafka.publish(
        t,
        values.map((i) => ({ key: `artist:${i}`, value: request(String(i)) })),
      )
    }
    await one.kafka.consume({ group, topic: t, handler: handler('one') })
    await publishSome()
    await until(() => seen.size === published, 'the first member handles all')
    await two.kafka.consume({ group, topic: t, handler: handler('two') })
    await until(async () => {
      await publishSome()
      return owners.two > 0
    }, 'the second member has its share')
    await until(() => seen.size === published, 'everything is handled')
    await one.kafka.close()
    await publishSomeWith(two.kafka)
    await until(() => seen.size === published, 'the second member handles all')

    async function publishSomeWith(kafka: typeof two.kafka): Promise<void> {
      const values = Array.from({ length: 60 }, () => published++)
      await kafka.publish(
        t,
        values.map((i) => ({ key: `artist:${i}`, value: request(String(i)) })),
      )
    }
  }, 90_000)

  test('a consumer whose coordinator was loading when it joined again begins anew', async () => {
    const t = await freshTopic(1)
    const group = newGroup()
    const { kafka } = await stream.openKafka()
    const seen: string[] = []
    await kafka.consume({
      group,
      topic: t,
      handler: pushIdsTo(seen),
    })
    await kafka.publish(t, [{ key: 'a', value: request('before') }])
    await until(() => seen.length === 1, 'it has joined')

    const coordinator = loadingCoordinator(group)
    try {
      await until(() => coordinator.joins() > 0, 'kafkajs has given up joining')
    } finally {
      coordinator.restore()
    }
    await kafka.publish(t, [{ key: 'a', value: request('after') }])
    await until(() => seen.includes('after'), 'it handles what came since', 90_000)
    expect(seen).toEqual(['before', 'after'])
  }, 150_000)

  test('a member that crashes whenever it has joined is reported, starts with growing pauses, and leaves nothing behind', async () => {
    const t = await freshTopic(1)
    const group = newGroup()
    const pauses: number[] = []
    const health = new Health()
    const readiness: (boolean | null)[] = []
    const note = (line: string) => {
      const { msg, delayMs } = JSON.parse(line)
      if (msg !== 'consumer_restarted') return
      pauses.push(delayMs)
      readiness.push(health.report().parts[`consumer ${group}`]?.ready ?? null)
    }
    const outages = { ...stream.config.outages, downAfterMs: 1_000 }
    const signals = observeAbortSignals()
    const refused = refusedFetches(t.name, { code: withoutRight })
    const kafka = await openKafka({
      ...{ config: { ...stream.config, outages }, codec: stream.codec, health, name: 'test' },
      log: pino({ level: 'warn' }, { write: note }),
      fail: () => undefined,
    })
    await kafka.consume({ group, topic: t, handler: pushIdsTo([]) })
    await until(() => pauses.length >= 5, 'it has crashed five times')
    expect(kafka.outages.report().ready).toBe(false)
    expect(readiness.slice(0, 5)).toEqual(Array(5).fill(false))
    refused.restore()
    signals.restore()
    // 0.2 seconds, doubled each time, and at most a quarter less.
    for (const [i, delayMs] of pauses.entries()) expect(delayMs).toBeGreaterThanOrEqual(150 * 2 ** i)
    expect(signals.mostListeners()).toBeLessThan(5)
    await kafka.close()
  })

  test('a clock that steps back by an hour stops neither heartbeats nor records', async () => {
    const t = await freshTopic(1)
    const group = newGroup()
    const { kafka, health } = await stream.openKafka()
    const seen: string[] = []
    const heartbeats = observeHeartbeats(group)
    await kafka.consume({ group, topic: t, handler: pushIdsTo(seen) })
    // No heartbeat may be in flight at the step, as kafkajs reads the clock at its answer.
    await until(() => heartbeats.answered() > 0, 'it has joined')
    const before = heartbeats.answered()
    const stepForth = stepClock(-3_600_000)
    try {
      await until(() => heartbeats.answered() > before + 1, 'heartbeats go on')
      await kafka.publish(t, [{ key: 'a', value: request('after') }])
      await until(() => seen.includes('after'), 'records come')
      expect(health.report()).toMatchObject({ alive: true, ready: true })
      // A member without heartbeats would restart again and again.
      const restarts = (await metrics.consumerRestarts.get()).values
      expect(restarts.find(({ labels }) => labels.group === group)).toBeUndefined()
    } finally {
      stepForth()
      heartbeats.restore()
    }
  })

  test('a consumer that is closed while it looks for its coordinator does not stay in the group', async () => {
    const t = await freshTopic(1)
    const group = newGroup()
    const { kafka } = await stream.openKafka()
    const coordinator = slowCoordinator(group)
    try {
      await kafka.consume({ group, topic: t, handler: pushIdsTo([]) })
      await coordinator.isAsked
      await kafka.close()
    } finally {
      coordinator.answer()
    }
    await coordinator.isAnswered
    const members = async () => (await admin.readGroupLag(group, [t.name])).members
    await until(async () => (await members()) === 1, 'kafkajs joins, though it was disconnected')
    await until(async () => (await members()) === 0, 'it sends no heartbeats')
  })

  test('a topic that does not exist yet is waited for', async () => {
    const t = { ...topic, name: `${stream.config.prefix}later-${crypto.randomUUID()}`, partitions: 1 }
    const group = newGroup()
    const { kafka, health } = await stream.openKafka()
    let handled = 0
    await kafka.consume({
      group,
      topic: t,
      handler: (records) => async () => {
        handled += records.length
        return []
      },
    })
    await expect(kafka.publish(t, [{ key: 'artist:a', value: request('a') }])).rejects.toThrow(
      'npm run migrate',
    )
    expect(health.report()).toMatchObject({ alive: true, ready: false })
    await admin.ensureTopics([t], 1)
    await kafka.publishBytes(t.name, [{ key: 'a', value: await stream.codec.encode(topic, request('a')) }])
    await until(() => handled === 1, 'the record is handled', 45_000)
  }, 90_000)
})

/** TOPIC_AUTHORIZATION_FAILED, which kafkajs does not retry. */
const withoutRight = 29

/** Largest number of listeners of one signal, among signals that get a listener from now on. */
function observeAbortSignals(): { mostListeners: () => number; restore: () => void } {
  const { addEventListener } = EventTarget.prototype
  const signals = new Set<AbortSignal>()
  EventTarget.prototype.addEventListener = function observed(...args) {
    if (this instanceof AbortSignal) signals.add(this)
    return addEventListener.apply(this, args)
  }
  return {
    mostListeners: () => Math.max(...[...signals].map((signal) => getEventListeners(signal, 'abort').length)),
    restore: () => Object.assign(EventTarget.prototype, { addEventListener }),
  }
}

/** As in lib/kafka/consumer.ts. */
const heartbeatsPerSession = 6

/** Counts answered heartbeats of this process for a group from now on. */
function observeHeartbeats(group: string): { answered: () => number; restore: () => void } {
  const { prototype }: { prototype: Broker } = createRequire(import.meta.url)('kafkajs/src/broker/index.js')
  const { heartbeat } = prototype
  let answered = 0
  prototype.heartbeat = async function observed(payload) {
    await heartbeat.call(this, payload)
    if (payload.groupId === group) answered++
  }
  return { answered: () => answered, restore: () => Object.assign(prototype, { heartbeat }) }
}

/** Hides a group's coordinator until `answer` is called. */
function slowCoordinator(group: string) {
  const { prototype }: { prototype: Cluster } = createRequire(import.meta.url)('kafkajs/src/cluster/index.js')
  const { findGroupCoordinator } = prototype
  const [asked, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const gate = Promise.withResolvers<void>()
  prototype.findGroupCoordinator = async function slow(of) {
    if (of.groupId !== group) return findGroupCoordinator.call(this, of)
    asked.resolve()
    await gate.promise
    return findGroupCoordinator.call(this, of).finally(() => answered.resolve())
  }
  const answer = () => {
    Object.assign(prototype, { findGroupCoordinator })
    gate.resolve()
  }
  return { isAsked: asked.promise, isAnswered: answered.promise, answer }
}

interface Cluster {
  findGroupCoordinator(of: { groupId: string }): Promise<unknown>
}

interface Broker {
  joinGroup(payload: { groupId: string; memberId: string }): Promise<unknown>
  heartbeat(payload: { groupId: string }): Promise<unknown>
}

/**
 * Imitates a coordinator that has moved and is still loading the group: one heartbeat answers that the member must
 * join again, and each join that the coordinator is loading.
 */
function loadingCoordinator(group: string): { joins: () => number; restore: () => void } {
  const load = createRequire(import.meta.url)
  const { prototype }: { prototype: Broker } = load('kafkajs/src/broker/index.js')
  const { createErrorFromCode }: { createErrorFromCode: (code: number) => Error } = load(
    'kafkajs/src/protocol/error.js',
  )
  const { joinGroup, heartbeat } = prototype
  let joins = 0
  let isTold = false
  prototype.heartbeat = async function rebalancing(payload) {
    if (payload.groupId !== group || isTold) return heartbeat.call(this, payload)
    isTold = true
    throw createErrorFromCode(27)
  }
  prototype.joinGroup = async function loading(payload) {
    if (payload.groupId !== group) return joinGroup.call(this, payload)
    joins++
    // Sends a real request, but for an unused group.
    await joinGroup.call(this, { ...payload, groupId: newGroup(), memberId: '' })
    throw createErrorFromCode(14)
  }
  return { joins: () => joins, restore: () => Object.assign(prototype, { joinGroup, heartbeat }) }
}
