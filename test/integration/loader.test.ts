import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { headerText } from '../../lib/kafka/record.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { MetadataRequest, OperationalEvent, SpotifyResponse, Topic } from '../../lib/topology.ts'
import { Outbox } from '../../services/loader/outbox.ts'
import { toOutboxTasks } from '../../services/loader/outbox-tasks.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { idFor, item, pageBody, simpleArtist, track } from '../support/pages.ts'
import { spawnService } from '../support/service-process.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

let stream: Stream
let kafka: Kafka
let postgres: Postgres

beforeAll(async () => {
  stream = await createStream()
  kafka = (await stream.openKafka()).kafka
  postgres = stream.openPostgres(4)
})
afterAll(async () => {
  await stream.release()
})

/** Kafka reassigns the partitions of a killed consumer only after its session timeout. */
const killedLeaveWithinMs = 90_000

const now = Date.now()
const at = (minutes: number) => now + minutes * 60_000

/** A user's page as the poller publishes it. */
function page(user: number, items: unknown[], fetchedAt = Date.now()) {
  const value: SpotifyResponse = {
    endpoint: 'recently-played',
    subject: String(user),
    source: 'poll',
    fetchedAt,
    status: 200,
    body: pageBody(items),
  }
  return { key: String(user), value }
}

/** Logs at `info`, so that the log shows the start. */
const startLoader = () => spawnService('loader', { ...stream.env, LOG_LEVEL: 'info' })

async function count(sql: string): Promise<number> {
  return (await postgres.query<{ n: number }>(`select count(*)::int as n from ${sql}`)).rows[0]?.n ?? -1
}

async function published<V>(topic: Topic<V>): Promise<V[]> {
  const records = await stream.readTopic(topic.name)
  return Promise.all(
    records.map(async (record) => {
      const decoded = await stream.codec.decode<V>(record.bytes)
      if (decoded.type !== 'value') throw new Error(decoded.message)
      return decoded.value
    }),
  )
}

describe('the service', () => {
  test('stores pages, dead-letters what it cannot tell, and asks for metadata, through kills at any time', async () => {
    const { recentlyPlayed, deadLetters, metadataWanted } = stream.topology
    const users = Array.from({ length: 20 }, (_, i) => i + 1)
    const bad = { track: track('Broken') }
    const publishRound = (round: number) =>
      kafka.publish(
        recentlyPlayed,
        users.map((user) => {
          const plays = Array.from({ length: 20 }, (_, i) =>
            item(at(round * 10 + i - 1_000), `S${(round * 10 + i) % 30}`),
          )
          return page(user, user === 3 ? [bad, ...plays] : plays)
        }),
      )
    let loader = await startLoader()
    for (let round = 0; round < 6; round++) {
      await publishRound(round)
      if (round % 2 === 0) continue
      await until(async () => (await count('plays')) > 0, 'plays arrive')
      await loader.end('SIGKILL')
      loader = await startLoader()
    }
    // Six rounds of twenty plays, half of them repeated from the round before.
    const expected = users.length * (20 + 5 * 10)
    await until(async () => (await count('plays')) === expected, 'all plays are stored', killedLeaveWithinMs)
    const wanted = await until(async () => {
      const requests = await published<MetadataRequest>(metadataWanted)
      const ids = new Set(requests.map((r) => `${r.kind}:${r.id}`))
      return ids.size === 60 ? ids : null
    }, 'artists and features are asked for')
    expect(wanted).toContain(`artist:${idFor('Artist of S3')}`)
    expect(wanted).toContain(`audio-features:${idFor('S3')}`)
    await until(
      async () => (await count("artists where metadata_status is distinct from 'requested'")) === 0,
      'requests are marked',
    )
    const letters = await until(async () => {
      const records = await stream.readTopic(deadLetters.name)
      return records.length > 0 ? records : null
    }, 'the bad item is reported')
    expect(new Set(letters.map((l) => headerText(l, 'dlq.reason')))).toEqual(new Set(['rejected_item']))
    // Only one page has dead letters; it repeats them only if a kill came before its commit.
    expect(new Set(letters.map((l) => headerText(l, 'dlq.offset'))).size).toBe(1)
    expect(letters[0]?.key?.toString()).toBe('3')
    expect(await loader.end('SIGTERM')).toBe(0)
  }, 180_000)

  test('survives cut links and an outage of Postgres: nothing lost, doubled or dead-lettered', async () => {
    const { recentlyPlayed, deadLetters } = stream.topology
    const url = new URL(stream.env.DATABASE_URL ?? '')
    const link = await openTcpProxy({ port: Number(url.port) })
    onTestFinished(() => link.close())
    url.port = String(link.port)
    const loader = await spawnService('loader', { ...stream.env, LOG_LEVEL: 'info', DATABASE_URL: url.href })
    await until(() => loader.lines.filter((l) => l.msg === 'partitions_assigned').length === 2, 'it has all')
    const lettersBefore = (await stream.readTopic(deadLetters.name)).length
    const users = Array.from({ length: 12 }, (_, i) => 300 + i)
    const plays = 'plays where user_id between 300 and 311'
    for (let round = 0; round < 12; round++) {
      const items = Array.from({ length: 40 }, (_, i) =>
        item(at(round * 20 + i - 2_000), `O${(round * 20 + i) % 70}`),
      )
      // Some transactions are cut at their commit, so their outcome is unknown.
      const publishing = kafka.publish(
        recentlyPlayed,
        users.map((user) => page(user, items)),
      )
      if (round === 6) link.setMode({ type: 'refuse' })
      link.cut()
      await publishing
      if (round === 8) {
        expect(await loader.probe('/healthz')).toBe(200)
        link.setMode({ type: 'open' })
      }
    }
    const expected = users.length * (40 + 11 * 20)
    await until(async () => (await count(plays)) === expected, 'all plays are stored', killedLeaveWithinMs)
    expect(await loader.end('SIGTERM')).toBe(0)
    expect(await count(plays)).toBe(expected)
    expect(await stream.readTopic(deadLetters.name)).toHaveLength(lettersBefore)
    expect(loader.lines.filter((line) => line.msg === 'partition_paused')).not.toEqual([])
  }, 180_000)

  test('counts every item once and stores answers', async () => {
    const { recentlyPlayed, metadata } = stream.topology
    const loader = await startLoader()
    const artistId = idFor('Nina')
    const plays = [
      item(at(-3), 'X1', { track: track('X1', { artists: [simpleArtist('Nina')] }) }),
      item(at(-9), 'X2'),
    ]
    const odd = [{ ...item(at(-10), 'X3'), track: null }, { track: track('Y1') }]
    await kafka.publish(recentlyPlayed, [page(501, [...plays, ...odd]), page(501, plays)])
    await until(
      async () => (await loader.metric('songswap_plays_total')) === 6,
      'six items are accounted for',
    )
    const metric = (result: string) => loader.metric('songswap_plays_total', { result })
    expect(await Promise.all(['stored', 'duplicate', 'dropped', 'rejected'].map(metric))).toEqual([
      2, 2, 1, 1,
    ])

    const body = Buffer.from(JSON.stringify({ ...simpleArtist('Nina'), genres: ['soul', 'jazz'] }))
    const answer = {
      endpoint: 'artist',
      subject: artistId,
      source: 'enrich',
      fetchedAt: Date.now(),
      status: 200,
      body,
    }
    await kafka.publish(metadata, [{ key: `artist:${artistId}`, value: answer }])
    await until(
      async () => (await count("artists where metadata_status = 'found'")) === 1,
      'the answer is stored',
    )
    const { rows } = await postgres.query('select name, genres from artists where id = $1', [artistId])
    expect(rows).toEqual([{ name: 'Nina', genres: ['soul', 'jazz'] }])
    expect(await loader.probe('/healthz')).toBe(200)
    expect(await loader.metric('songswap_page_to_row_seconds_count')).toBe(1)
    expect(await loader.end('SIGTERM')).toBe(0)
  })
})

describe('what rows ask for', () => {
  let outbox: Outbox | null = null
  const outages = { failed: () => undefined, worked: () => undefined }
  const unavailable: Pick<Kafka, 'publish'> = { publish: () => Promise.reject(new Error('no broker')) }

  beforeEach(async () => {
    await postgres.query('delete from artists; delete from tracks; delete from gaps')
    await postgres.query(`
      insert into artists (id, name, fetched_at) values ('${idFor('One')}', 'One', now()), ('spotify:local:x', '', now());
      insert into tracks (id, name, fetched_at, features_status) values
        ('${idFor('Full')}', 'Full', now(), 'not_found'), ('${idFor('Empty')}', '', now(), 'not_found'),
        ('spotify:local:y', '', now(), null)`)
    return async () => {
      await outbox?.close()
      outbox = null
    }
  })

  function open(
    publisher: Pick<Kafka, 'publish'>,
    { wantsFeatures = true, requestAgainMs = 60_000 } = {},
  ): Outbox {
    const tasks = toOutboxTasks({
      kafka: publisher,
      topology: stream.topology,
      wantsFeatures,
      requestAgainMs,
    })
    outbox = new Outbox({ postgres, tasks, sweepMs: 3_600_000, outages, log: stream.log })
    return outbox
  }

  /** Waits until a drain has run every task; the outbox drains at its start too, and the two take turns. */
  const drained = (of: Outbox | null) => until(() => of?.drain(), 'everything is published')

  /** Records what is published. */
  function recorder() {
    const keys: string[] = []
    const events: OperationalEvent[] = []
    const publish: Kafka['publish'] = async (topic, records) => {
      await kafka.publish(topic, records)
      if (topic.name === stream.topology.events.name)
        events.push(...records.map((r) => r.value as OperationalEvent))
      else keys.push(...records.map((r) => r.key))
    }
    return { keys, events, publish }
  }

  test('is published by the next process when one dies between the commit and Kafka', async () => {
    await open(unavailable)
      .drain()
      .catch(() => undefined)
    await outbox?.close()
    expect(await count('artists where metadata_status is null')).toBe(2)

    const sent = recorder()
    open(sent)
    await until(() => sent.keys.length === 2, 'the sweep at the start finds them')
    expect(sent.keys.sort()).toEqual([`artist:${idFor('One')}`, `track:${idFor('Empty')}`])
    await until(
      async () => (await count("artists where metadata_status = 'requested'")) === 1,
      'they are marked',
    )
  })

  test('features that were not found are asked for again after a week, a month and three months, and then no more', async () => {
    const sent = recorder()
    open(sent)
    await drained(outbox)
    const id = idFor('Full')
    const answer = (days: number) =>
      postgres.query(
        `update tracks set features_status = 'not_found', features_requested_at = now() - $2 * interval '1 day'
         where id = $1`,
        [id, days],
      )
    const asked: number[] = []
    for (const days of [6, 8, 29, 32, 90, 92, 400, 4_000]) {
      await answer(days)
      const before = sent.keys.length
      await drained(outbox)
      if (sent.keys.length > before) asked.push(days)
    }
    expect(asked).toEqual([8, 32, 92])
    expect(sent.keys.filter((key) => key === `audio-features:${id}`)).toHaveLength(3)
  })

  test('is published although another lane fails', async () => {
    const sent = recorder()
    const tasks = toOutboxTasks({
      kafka: sent,
      topology: stream.topology,
      wantsFeatures: true,
      requestAgainMs: 60_000,
    })
    const failing = { name: 'failing', serve: () => Promise.reject(new Error('a bug')) }
    outbox = new Outbox({
      postgres,
      tasks: [failing, ...tasks],
      sweepMs: 3_600_000,
      outages,
      log: stream.log,
    })
    expect(await outbox.drain()).toBe(false)
    // By this drain, or by the outbox's own first one, which may still run.
    await until(() => sent.keys.length >= 2, 'the other tasks publish', 4_000)
  })

  test('is published soon after a wake, also one that comes while the outbox is at work', async () => {
    const sent = recorder()
    const slow: Kafka['publish'] = async (topic, records) => {
      await sent.publish(topic, records)
      if (sent.keys.length > 1) return
      const text = "insert into artists (id, name, fetched_at) values ($1, 'Two', now())"
      await postgres.query(text, [idFor('Two')])
      outbox?.wake()
    }
    open({ publish: slow })
    await until(() => sent.keys.includes(`artist:${idFor('Two')}`), 'the second artist is asked for', 4_000)
  })

  test('is published again when it was not marked, and not when it was', async () => {
    const sent = recorder()
    await drained(open(sent))
    await postgres.query('update artists set metadata_status = null')
    await drained(outbox)
    await drained(outbox)
    expect(sent.keys.filter((k) => k.startsWith('artist:'))).toHaveLength(2)
  })

  test('is asked for again when no answer came in time', async () => {
    const sent = recorder()
    await drained(open(sent))
    await postgres.query("update artists set metadata_requested_at = now() - interval '61 seconds'")
    await drained(outbox)
    expect(sent.keys.filter((k) => k.startsWith('artist:'))).toHaveLength(2)
  })

  test('is left alone when the answer came before the mark', async () => {
    const sent = recorder()
    const answered: Kafka['publish'] = async (topic, records) => {
      await sent.publish(topic, records)
      await postgres.query("update artists set metadata_status = 'found'")
    }
    await drained(open({ publish: answered }))
    expect(await count("artists where metadata_status = 'found'")).toBe(2)
  })

  test('does not hold audio features that nobody provides', async () => {
    await postgres.query('update tracks set features_status = null')
    const sent = recorder()
    await drained(open(sent, { wantsFeatures: false }))
    expect(sent.keys.filter((k) => k.startsWith('audio-features:'))).toEqual([])
    await outbox?.close()
    await drained(open(sent))
    expect(sent.keys.filter((k) => k.startsWith('audio-features:'))).toHaveLength(2)
  })

  test('is published by one process at a time, and all of it, however much there is', async () => {
    await postgres.query(`
      insert into artists (id, name, fetched_at)
      select lpad(n::text, 22, '0'), 'x', now() from generate_series(1, 1200) n`)
    const sent = recorder()
    const others = [open(sent), open(sent), open(sent)]
    await until(async () => {
      for (const other of others) other.wake()
      return (await count('artists where metadata_status is null')) === 1
    }, 'everything is asked for')
    await Promise.all(others.map((o) => o.close()))
    expect(sent.keys).toHaveLength(1_202)
    expect(new Set(sent.keys).size).toBe(1_202)
  })

  test('a gap is told once when it opens, and its end resolves it', async () => {
    await postgres.query(
      "insert into gaps (user_id, after, before) values (7, now() - interval '2 h', now())",
    )
    const sent = recorder()
    await drained(open(sent))
    await drained(outbox)
    await postgres.query('update gaps set closed_at = now()')
    await drained(outbox)
    await drained(outbox)
    expect(sent.events.map((e) => [e.type, e.subject, e.state])).toEqual([
      ['gap_detected', 'user:7', 'raised'],
      ['gap_detected', 'user:7', 'resolved'],
    ])
  })
})
