import { beforeEach, describe, expect, test } from 'vitest'
import { from } from '../../lib/errors.ts'
import type { Notice } from '../../lib/events.ts'
import { toEvent } from '../../lib/events.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { DeadLetterReason } from '../../lib/kafka/dead-letter.ts'
import { deadLetterHeaders } from '../../lib/kafka/dead-letter.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import { headerText } from '../../lib/kafka/record.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { readRefusal } from '../../services/alerter/delivery.ts'
import type { DiscordSimulator } from '../../simulators/discord/simulator.ts'
import { startDiscordSimulator } from '../../simulators/discord/simulator.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { startService, stopServices } from '../support/service.ts'
import { killServices, spawnService } from '../support/service-process.ts'
import { until } from '../support/until.ts'

let stream: Stream
let kafka: Kafka
let admin: Admin
let discord: DiscordSimulator
let postgres: Postgres

beforeEach(async () => {
  stream = await createStream()
  kafka = (await stream.openKafka()).kafka
  admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  discord = await startDiscordSimulator()
  postgres = stream.openPostgres(1)
  return async () => {
    await Promise.all([killServices(), stopServices()])
    await discord.stop()
    await admin.close()
    await stream.release()
  }
})

const settings = (env: Record<string, string> = {}) => ({
  ...stream.env,
  LOG_LEVEL: 'info',
  DISCORD_WEBHOOK_URL: discord.webhookUrl,
  ALERT_DIGEST_SECONDS: '600',
  ALERT_LAG_INTERVAL_SECONDS: '600',
  ...env,
})
const startAlerter = (env: Record<string, string> = {}) => startService('alerter', settings(env))
const spawnAlerter = (env: Record<string, string> = {}) => spawnService('alerter', settings(env))

const notice = (subject: string, more: Partial<Notice> = {}): Notice => ({
  type: 'user_needs_reauth',
  subject,
  severity: 'warning',
  message: `${subject} must connect again`,
  ...more,
})

const raise = (...notices: Notice[]) =>
  kafka.publish(
    stream.topology.events,
    notices.map((n) => ({ key: n.subject, value: toEvent(n, 'test', Date.now()) })),
  )

interface Grave {
  group?: string
  body?: Buffer
  at?: number
}

async function bury(count: number, reason: DeadLetterReason, grave: Grave = {}): Promise<void> {
  const { group = 'loader.history', body = Buffer.from('body'), at = Date.now() } = grave
  const letters = Array.from({ length: count }, (_, i) => {
    const record = {
      topic: 'spotify.recently-played',
      partition: i % 12,
      offset: i,
      timestamp: Date.now(),
      key: Buffer.from(String(i)),
      headers: [],
      bytes: null,
    }
    const headers = deadLetterHeaders(record, {
      group,
      reason,
      message: `@everyone *${i}*`,
      attempts: 1,
      at,
    })
    return { key: record.key, value: body, headers }
  })
  await kafka.publishBytes(stream.topology.deadLetters.name, letters)
}

const embeds = () => discord.messages.flatMap((m) => m.embeds)
const titles = () => embeds().map((e) => (e.title ?? '').replaceAll('\\', ''))
const arrived = (title: string, times = 1) =>
  until(() => titles().filter((t) => t === title).length >= times, `"${title}" is posted`)

/** Number of records in the posted alerts and digests. */
function told(): number {
  return embeds().reduce((sum, embed) => {
    if (embed.title?.startsWith('Digest')) return sum + Number(/\d+/.exec(embed.title)?.[0])
    const more = embed.fields.find((f) => f.name.endsWith('of them so far'))
    return sum + (more ? Number.parseInt(more.name, 10) : 1)
  }, 0)
}

async function lag(): Promise<number> {
  const { deadLetters, events, groups } = stream.topology
  const { partitions } = await admin.readGroupLag(groups.alerter, [deadLetters.name, events.name])
  return partitions.reduce((sum, p) => sum + p.lag, 0)
}

const settled = () => until(async () => (await lag()) === 0, 'everything is committed')

describe('telling', () => {
  test('the first of a kind is told at once, the rest in a digest, the end once', async () => {
    await startAlerter({ ALERT_DIGEST_SECONDS: '2' })
    await raise(notice('user:7'))
    await arrived('user_needs_reauth: user:7')
    await raise(...Array.from({ length: 10 }, () => notice('user:7')))
    await arrived('Digest: 10 more reports')
    await raise(notice('user:7', { state: 'resolved', message: 'connected again' }))
    await raise(notice('user:7', { state: 'resolved', message: 'connected again' }))
    await arrived('Resolved: user_needs_reauth: user:7')
    await settled()
    expect(titles()).toEqual([
      'user_needs_reauth: user:7',
      'Digest: 10 more reports',
      'Resolved: user_needs_reauth: user:7',
    ])
  })

  test('a flood of dead letters becomes a few messages that account for every one', async () => {
    await bury(2_000, 'invalid_page')
    await bury(1_000, 'rejected_item')
    await bury(500, 'invalid_page', { group: 'archiver' })
    await startAlerter({ ALERT_DIGEST_SECONDS: '1' })
    await settled()
    expect(told()).toBe(3_500)
    expect(discord.messages.length).toBeLessThan(15)
    expect(
      titles()
        .filter((t) => !t.startsWith('Digest'))
        .toSorted(),
    ).toEqual([
      'Dead letter: invalid_page in archiver',
      'Dead letter: invalid_page in loader.history',
      'Dead letter: rejected_item in loader.history',
    ])
    expect(discord.answers).toEqual({ 'POST 200': discord.messages.length })
    expect(discord.messages.flatMap((m) => m.pings)).toEqual([])
  })

  test('a flood of kinds and hostile texts stays within every limit of Discord', async () => {
    await startAlerter({ ALERT_DIGEST_SECONDS: '8' })
    const hostile = '<@1> @everyone \u0000\ud800 **`[x](http://x)` '.repeat(300)
    const details = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`${hostile}${i}`, hostile]))
    for (let i = 0; i < 40; i++) {
      await raise(
        notice(`user:${i}`, { message: hostile, details }),
        notice(hostile + i, { type: 'gap_detected', message: '' }),
        notice('app', { type: 'spotify_outage', state: i % 2 ? 'resolved' : 'raised' }),
      )
    }
    await settled()
    expect(told()).toBe(120)
    expect(discord.answers).toEqual({ 'POST 200': discord.messages.length })
  })

  test('an event that cannot be decoded is dead-lettered and told', async () => {
    await startAlerter()
    await kafka.publishBytes(stream.topology.events.name, [{ key: 'app', value: Buffer.from('no event') }])
    await arrived(`Dead letter: not_framed in ${stream.topology.groups.alerter}`)
    await settled()
  })

  test('dead letters that were decided on are not reported again when the offsets are gone', async () => {
    const long = Date.now() - 5 * 60_000
    await bury(3, 'invalid_page', { at: long })
    await bury(1, 'invalid_page', { at: long + 1 })
    const letters = await stream.readTopic(stream.topology.deadLetters.name)
    for (const letter of letters.filter((l) => headerText(l, 'dlq.at') === String(long))) {
      await postgres.query(
        `insert into dead_letter_decisions (partition, "offset", died_at, decision)
         values ($1, $2, to_timestamp($3::float8 / 1000), 'discarded')`,
        [letter.partition, letter.offset, long],
      )
    }
    await startAlerter()
    await arrived('Dead letter: invalid_page in loader.history')
    await settled()
    expect(told()).toBe(1)
  })

  test('a decision that Postgres does not tell is none: the dead letter is reported', async () => {
    await bury(1, 'invalid_page', { at: Date.now() - 5 * 60_000 })
    await startAlerter({ DATABASE_URL: 'postgres://u:p@127.0.0.1:1/x' })
    await arrived('Dead letter: invalid_page in loader.history')
  })

  test('without a webhook alerts go to the log and the topics are consumed', async () => {
    const alerter = await startAlerter({ DISCORD_WEBHOOK_URL: '' })
    await raise(notice('user:7'))
    await settled()
    expect(alerter.lines.filter((l) => String(l.msg).startsWith('no_webhook'))).toHaveLength(1)
    const logged = () => alerter.lines.find((l) => l.msg === 'alert_not_posted')
    expect(await until(logged, 'the alert is logged')).toMatchObject({ title: 'user_needs_reauth: user:7' })
  })
})

describe('when Discord refuses', () => {
  for (const fault of [
    'rate_limited',
    'rate_limited_shared',
    'rate_limited_html',
    'server_error',
    'bad_gateway_html',
  ] as const) {
    test(`an alert outlives ${fault} and is posted once`, async () => {
      discord.scriptFault({ fault, count: 2, retryAfterSeconds: 1.2 })
      await startAlerter()
      await raise(notice('user:7'))
      await arrived('user_needs_reauth: user:7')
      await settled()
      expect(titles()).toEqual(['user_needs_reauth: user:7'])
    })
  }

  test('an alert whose answer was lost is posted again rather than not at all', async () => {
    discord.scriptFault({ fault: 'reset' })
    await startAlerter()
    await raise(notice('user:7'))
    await arrived('user_needs_reauth: user:7', 1)
    await settled()
    expect(new Set(titles())).toEqual(new Set(['user_needs_reauth: user:7']))
    expect(titles().length).toBeLessThanOrEqual(2)
  })

  test('for long, it keeps counts and not records, and tells all of them afterwards', async () => {
    const alerter = await spawnAlerter({ ALERT_DIGEST_SECONDS: '1' })
    await bury(1, 'invalid_page')
    await arrived('Dead letter: invalid_page in loader.history')
    await settled()
    discord.scriptFault({ fault: 'service_unavailable', count: 1_000_000 })
    // 300 MB of dead letters.
    const before = await alerter.metric('process_resident_memory_bytes')
    const body = Buffer.alloc(20_000, 'page')
    for (let i = 0; i < 15; i++) await bury(1_000, 'invalid_page', { body })
    await until(
      async () => (await alerter.metric('songswap_records_consumed_total')) === 15_001,
      'all dead letters are taken in',
    )
    expect(await lag()).toBeGreaterThan(0)
    expect((await alerter.metric('process_resident_memory_bytes')) - before).toBeLessThan(200e6)
    discord.clearFaults()
    await settled()
    expect(told()).toBe(15_001)
  })

  test('a dead webhook is tried once, alerts are logged and wait, and the next process posts them', async () => {
    discord.deleteWebhook()
    const alerter = await startAlerter()
    const logged = () => alerter.lines.filter((l) => l.msg === 'alert_not_posted').map((l) => l.title)
    await raise(notice('user:1'))
    await until(() => logged().length === 1, 'the first alert is logged')
    await raise(notice('user:2'), notice('user:3'))
    await until(() => logged().length === 3, 'all alerts are logged')
    expect(logged()).toEqual([1, 2, 3].map((i) => `user_needs_reauth: user:${i}`))
    expect(discord.answers).toEqual({ 'POST 404': 1 })
    expect(await lag()).toBe(3)
    expect(await alerter.metric('songswap_alerter_breaker_open')).toBe(1)
    expect(await alerter.probe('/healthz')).toBe(200)
    expect(await alerter.probe('/readyz')).toBe(503)
    expect(JSON.stringify(alerter.lines)).not.toContain('simulated-webhook-token')
    await alerter.stop()
    discord.restoreWebhook()
    await startAlerter()
    for (const i of [1, 2, 3]) await arrived(`user_needs_reauth: user:${i}`)
    await settled()
  })

  test('a channel that refuses everything keeps the offsets; what is older than an hour comes as one digest', async () => {
    discord.scriptFault({ fault: 'tag_required' })
    const alerter = await startAlerter({ ALERT_DIGEST_SECONDS: '1' })
    const old = Date.now() - 2 * 3_600_000
    const events = [
      toEvent(notice('user:1'), 'test', old),
      toEvent(notice('user:2'), 'test', old),
      toEvent(notice('user:3'), 'test', Date.now()),
    ]
    await kafka.publish(
      stream.topology.events,
      events.map((value) => ({ key: value.subject, value })),
    )
    await until(async () => (await alerter.probe('/readyz')) === 503, 'it says that it cannot post')
    expect(await lag()).toBe(3)
    await settled()
    expect(titles()).toEqual(['user_needs_reauth: user:3', 'Digest: 2 more reports'])
    expect(await alerter.probe('/readyz')).toBe(200)
    expect(await alerter.metric('songswap_alerter_breaker_open')).toBe(0)
  })

  test('a message that is refused for its own text is logged, counted and passed', async () => {
    discord.block('forbidden words')
    const alerter = await startAlerter()
    await raise(notice('forbidden words'), notice('user:2'))
    await arrived('user_needs_reauth: user:2')
    await settled()
    expect(alerter.lines.find((l) => l.msg === 'alert_not_posted')).toMatchObject({
      title: 'user_needs_reauth: forbidden words',
    })
    expect(await alerter.metric('songswap_alerts_total', { result: 'refused' })).toBe(1)
    expect(await alerter.probe('/readyz')).toBe(200)
  })

  test('a message of which embeds alone are refused comes in plain text', async () => {
    discord.block('forbidden words')
    await startAlerter()
    await raise(notice('user:1', { message: 'forbidden words' }))
    await settled()
    expect(discord.messages.map((m) => m.content)).toEqual(['user\\_needs\\_reauth: user:1'])
  })

  test('a channel that refuses every text, for whatever reason, keeps the offsets', async () => {
    discord.block('allowed_mentions')
    const alerter = await startAlerter()
    await raise(notice('user:1'))
    await until(async () => (await alerter.probe('/readyz')) === 503, 'it says that it cannot post')
    expect(await lag()).toBe(1)
    discord.block(null)
    await arrived('user_needs_reauth: user:1')
    await settled()
  })

  test('a forum gets one thread, and another when that one is deleted', async () => {
    discord.become('forum')
    await startAlerter()
    await raise(notice('user:1'))
    await arrived('user_needs_reauth: user:1')
    await raise(notice('user:2'))
    await arrived('user_needs_reauth: user:2')
    expect([...discord.threads.values()]).toEqual(['songswap alerts'])
    expect(new Set(discord.messages.map((m) => m.channelId))).toEqual(new Set(discord.threads.keys()))
    discord.deleteThreads()
    await raise(notice('user:3'))
    await arrived('user_needs_reauth: user:3')
    await settled()
    expect([...discord.threads.keys()]).toEqual([discord.messages.at(-1)?.channelId])
  })

  test('a page with status 200 that is not from Discord is no delivery', async () => {
    discord.scriptFault({ fault: 'ok_html', count: 2 })
    await startAlerter()
    await raise(notice('user:1'))
    await arrived('user_needs_reauth: user:1')
    await settled()
    expect(titles()).toEqual(['user_needs_reauth: user:1'])
  })

  test('a redirect to Discord is followed, one to elsewhere named', async () => {
    discord.scriptFault({ fault: 'redirect' })
    discord.scriptFault({ fault: 'redirect_elsewhere' })
    const alerter = await startAlerter()
    await raise(notice('user:1'))
    await arrived('user_needs_reauth: user:1')
    await settled()
    expect(discord.answers).toEqual({ 'POST 308': 2, 'POST 200': 1 })
    expect(JSON.stringify(alerter.lines)).toContain(
      'redirects more than once, the last time to discord.example',
    )
    expect(JSON.stringify(alerter.lines)).not.toContain('simulated-webhook-token')
  })

  test('whether alerts are delivered is kept for those who post nothing', async () => {
    discord.deleteWebhook()
    const alerter = await startAlerter()
    await raise(notice('user:1'))
    const refusal = await until(() => readRefusal(postgres), 'the refusal is stored')
    expect(refusal.detail).toContain('404')
    expect(Date.now() - refusal.since.getTime()).toBeLessThan(600_000)
    await alerter.stop()
    discord.restoreWebhook()
    await startAlerter()
    await until(async () => (await readRefusal(postgres)) === null, 'the refusal is over')
  })
})

describe('killed', () => {
  test('between the answer of Discord and the commit, it tells once more and loses nothing', async () => {
    discord.scriptFault({ fault: 'slow_body' })
    const first = await spawnAlerter()
    await raise(notice('user:7'))
    await arrived('user_needs_reauth: user:7')
    await first.end('SIGKILL')
    await spawnAlerter()
    await arrived('user_needs_reauth: user:7', 2)
    await settled()
    expect(titles()).toEqual(Array(2).fill('user_needs_reauth: user:7'))
  })

  test('with a digest in memory, what it had counted is told by the next one', async () => {
    const first = await spawnAlerter()
    await bury(1, 'invalid_page')
    await arrived('Dead letter: invalid_page in loader.history')
    await settled()
    await bury(300, 'invalid_page')
    await until(
      async () => (await first.metric('songswap_records_consumed_total')) === 301,
      'all dead letters are taken in',
    )
    await first.end('SIGKILL')
    const before = told()
    await spawnAlerter({ ALERT_DIGEST_SECONDS: '1' })
    await settled()
    expect(told() - before).toBe(300)
  })

  test('stops within its time while Discord hangs', async () => {
    discord.scriptFault({ fault: 'hang', count: 100 })
    const alerter = await spawnAlerter()
    await raise(notice('user:7'))
    await until(() => discord.answers['POST 200'] ?? alerter.lines.length > 3, 'it is posting')
    const started = Date.now()
    expect(await alerter.end('SIGTERM')).toBe(0)
    expect(Date.now() - started).toBeLessThan(10_000)
  })
})

describe('an outage', () => {
  const waiter = { name: 'loader.history', place: null }
  const server = (name: string) => ({ name, probe: async () => undefined })
  const down = (name: string) => from(server(name), new Error('connection refused'))
  const title = (name: string) => `dependency_down: server:${name}`
  const openProcess = async (name: string) =>
    (await stream.openKafka(name, { outages: { downAfterMs: 0, heldUpAfterMs: 3_600_000 } })).kafka.outages

  test('that several processes report is told once, and so is its end: when the last of them reports it', async () => {
    await startAlerter()
    const [first, second] = [await openProcess('first'), await openProcess('second')]
    first.failed(waiter, down('postgres'))
    await arrived(title('postgres'))
    second.failed(waiter, down('postgres'))
    const { name } = stream.topology.events
    await until(async () => (await stream.readTopic(name)).length === 2, 'both have reported it')
    first.worked(waiter)
    // The alerter has seen that end once it posts the end of a later report.
    first.failed(waiter, down('schema-registry'))
    await arrived(title('schema-registry'))
    first.worked(waiter)
    await arrived(`Resolved: ${title('schema-registry')}`)
    expect(titles()).not.toContain(`Resolved: ${title('postgres')}`)
    second.worked(waiter)
    await arrived(`Resolved: ${title('postgres')}`)
    for (const failed of ['postgres', 'schema-registry'])
      expect(titles().filter((t) => t.endsWith(title(failed)))).toHaveLength(2)
  })

  test('of a process that has died is said to be not reported any more, also by an alerter that starts later', async () => {
    const details = { instance: 'archiver@here/1', repeatSeconds: '3' }
    const before = await startAlerter()
    await raise(notice('server:object-store', { type: 'dependency_down', details }))
    await arrived(title('object-store'))
    await settled()
    await before.stop()
    await startAlerter()
    await arrived(`Not reported any more: ${title('object-store')}`)
    const end = embeds().find((e) => e.title?.startsWith('Not reported'))
    expect(end?.description).toContain('Whether it is over is not known')
    expect(end?.description).toContain('archiver')
    await settled()
    expect(titles().filter((t) => t.startsWith('Resolved'))).toEqual([])
  })
})

describe('a group without members', () => {
  const quick = { ALERT_LAG_INTERVAL_SECONDS: '1', ALERT_DOWN_SECONDS: '2' }
  const comeBack = () => {
    const { groups, metadataWanted } = stream.topology
    return kafka.consume({ group: groups.enricher, topic: metadataWanted, handler: () => async () => [] })
  }

  test('is told once, also over a restart, and told again when it is back', async () => {
    const down = `service_down: group:${stream.topology.groups.enricher}`
    const first = await startAlerter(quick)
    await arrived(down)
    await settled()
    await first.stop()
    const second = await startAlerter(quick)
    // Several samples, over which the group is down for long enough for a second alert.
    for (let waiting = 1; waiting <= 4; waiting++) {
      const value = { kind: 'artist', id: 'x', requestedAt: 0 }
      await kafka.publish(stream.topology.metadataWanted, [{ key: 'artist:x', value }])
      const labels = { consumergroup: stream.topology.groups.enricher }
      await until(
        async () => (await second.metric('kafka_consumergroup_lag', labels)) === waiting,
        `a sample shows ${waiting} records waiting`,
      )
    }
    await comeBack()
    await arrived(`Resolved: ${down}`)
    expect(titles().filter((t) => t === down)).toHaveLength(1)
    const inTopic = await stream.readTopic(stream.topology.events.name)
    expect(inTopic.filter((r) => String(r.key).endsWith('.enricher'))).toHaveLength(2)
  })

  test('is told without a database too', async () => {
    await startAlerter({ ...quick, DATABASE_URL: '' })
    await arrived(`service_down: group:${stream.topology.groups.enricher}`)
  })
})

test('a loader that does not get on is reported, an enricher that waits as long for its budget is not', async () => {
  const { groups, recentlyPlayed, metadataWanted } = stream.topology
  const hourAgo = Date.now() - 3_600_000
  const holds = { through: null, deadLetters: [] }
  for (const [group, topic] of [
    [groups.loaderHistory, recentlyPlayed],
    [groups.enricher, metadataWanted],
  ] as const) {
    const record = { key: 'k', value: Buffer.from('x'), partition: 0, timestamp: hourAgo }
    await kafka.publishBytes(topic.name, [record])
    await kafka.consumeInto<unknown>({
      group,
      topics: [topic],
      open: () => ({ write: async () => holds, tick: async () => holds, close: async () => undefined }),
    })
  }
  await startAlerter({ ALERT_LAG_INTERVAL_SECONDS: '1' })
  await arrived(`consumer_lagging: group:${groups.loaderHistory}`)
  const lagging = titles().filter((t) => t.startsWith('consumer_lagging'))
  expect(lagging).toEqual([`consumer_lagging: group:${groups.loaderHistory}`])
})

describe('polling', () => {
  const quick = { ALERT_LAG_INTERVAL_SECONDS: '1', ALERT_DIGEST_SECONDS: '1' }
  const addUser = async (state: string): Promise<number> => {
    const { rows } = await postgres.query<{ id: number }>(
      `insert into users (spotify_id, display_name, created_at, status_changed_at)
       values (gen_random_uuid(), 'Ada', now() - interval '9 days', now() - interval '9 days') returning id`,
    )
    const id = rows[0]?.id ?? 0
    await postgres.query(`insert into poll_state (user_id) values ($1)`, [id])
    await postgres.query(`update poll_state set ${state} where user_id = $1`, [id])
    return id
  }
  const minutesAgo = (n: number) => `now() - interval '${n} minutes'`
  const polled = (n: number) => `last_ok_at = ${minutesAgo(n)}, next_poll_at = ${minutesAgo(n - 1)}`

  test('that a dead poller stopped is reported by another process, once over a restart, and so is its end', async () => {
    const id = await addUser(polled(50))
    await addUser(polled(55))
    const first = await startAlerter(quick)
    await arrived('polling_stopped: app')
    await settled()
    await first.stop()
    await startAlerter(quick)
    await postgres.query('update poll_state set last_ok_at = now() where user_id = $1', [id])
    await arrived('Resolved: polling_stopped: app')
    expect(titles().filter((t) => t === 'polling_stopped: app')).toHaveLength(1)
  })

  test('in which every poll fails is reported too', async () => {
    await addUser(`last_ok_at = ${minutesAgo(60)}, next_poll_at = now() + interval '1 minute', failures = 34,
      failing_since = ${minutesAgo(50)}, last_failed_at = now(), last_error = 'server_error'`)
    await startAlerter(quick)
    await arrived('polling_stopped: app')
  })

  test('by a poller that takes a lease again and again, and dies, is reported too', async () => {
    await addUser(`last_ok_at = ${minutesAgo(120)}, next_poll_at = now() + interval '1 minute',
      leased_until = now() + interval '1 minute'`)
    await startAlerter(quick)
    await arrived('polling_stopped: app')
  })

  test('during a long pause of the accounts service is reported, though every poll is put off', async () => {
    await addUser(`last_ok_at = ${minutesAgo(70)}, next_poll_at = now() + interval '15 minutes'`)
    await postgres.query(
      `insert into api_pauses (client_id, lane, paused_until, reason, window_started_at)
       values ('app', 'accounts', now() + interval '20 h', 'rate_limited', now() - interval '5 h')`,
    )
    await startAlerter(quick)
    await arrived('polling_stopped: app')
  })

  test('that is paused is not reported before the pause has been over for long', async () => {
    await addUser(polled(300))
    await postgres.query(
      `insert into api_pauses (client_id, lane, paused_until, reason)
       values ('app', 'polling', now() + interval '5 h', 'quota_exceeded')`,
    )
    const alerter = await startAlerter(quick)
    await raise(notice('user:1'))
    await arrived('user_needs_reauth: user:1')
    const members = { consumergroup: stream.topology.groups.alerter }
    await until(() => alerter.metric('kafka_consumergroup_members', members), 'a sample')
    expect(titles()).toEqual(['user_needs_reauth: user:1'])
    await postgres.query(`update api_pauses set paused_until = now() - interval '46 minutes'`)
    await arrived('polling_stopped: app')
  })

  test('of one user that fails for hours comes in a digest, and so does its end', async () => {
    await addUser('last_ok_at = now()')
    const id = await addUser(`last_ok_at = ${minutesAgo(180)}, failures = 34, last_error = 'refused',
      failing_since = ${minutesAgo(170)}, next_poll_at = now() + interval '1 minute'`)
    const examples = () =>
      embeds()
        .flatMap((e) => e.fields.map((f) => `${f.name}: ${f.value}`))
        .join('\n')
    await startAlerter(quick)
    await until(() => examples().includes(`User ${id} \\(Ada\\) has not been polled for 180`), 'the digest')
    await postgres.query('update poll_state set last_ok_at = now() where user_id = $1', [id])
    await until(() => examples().includes('is polled again'), 'the end')
    expect(titles().every((t) => t.startsWith('Digest'))).toBe(true)
  })

  test('that nobody can judge, because Postgres is away, is said, and alerts go on', async () => {
    const away = { DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/x', ALERT_POLLING_STOPPED_SECONDS: '1' }
    const alerter = await startAlerter({ ...quick, ...away })
    await raise(notice('user:1'))
    await arrived('user_needs_reauth: user:1')
    await arrived('polling_unknown: app')
    expect(titles().filter((t) => t === 'polling_unknown: app')).toHaveLength(1)
    expect(JSON.stringify([alerter.lines, embeds()])).not.toContain('hunter2')
  })
})
