import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { request } from 'undici'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { parseEnv, postgresEnv, s3Config, s3Env } from '../../lib/config.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { migrateAll } from '../../lib/migrate.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import type { S3 } from '../../lib/s3.ts'
import { openS3 } from '../../lib/s3.ts'
import type { RequestLane } from '../../lib/spotify/outcome.ts'
import { subjectOf } from '../../lib/topology.ts'
import type { DiscordSimulator } from '../../simulators/discord/simulator.ts'
import { startDiscordSimulator } from '../../simulators/discord/simulator.ts'
import type { SpotifySimulatorOptions } from '../../simulators/spotify/options.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { openS3Gate } from '../support/s3-faults.ts'
import { runSongswap } from '../support/songswap.ts'
import { addUser, spotifyTestEnv } from '../support/spotify.ts'

let stream: Stream
let postgres: Postgres
let s3: S3
let spotify: SpotifySimulator
let discord: DiscordSimulator
let env: Record<string, string>

beforeAll(async () => {
  stream = await createStream()
  const { DATABASE_URL: url } = parseEnv(postgresEnv, stream.env)
  postgres = openPostgres({ url, connections: 2, name: 'test', log: stream.log })
  s3 = openS3(s3Config(parseEnv(s3Env, stream.env)))
  discord = await startDiscordSimulator()
})

afterAll(async () => {
  await discord?.stop()
  await s3?.close()
  await postgres?.close()
  await stream?.release()
})

/** A healthy installation: one user who was just polled, a new app and a new webhook. */
beforeEach(async () => {
  spotify = await startSpotifySimulator({ listeners: 3, plays: 'none' })
  env = { ...stream.env, ...spotifyTestEnv(spotify), DISCORD_WEBHOOK_URL: discord.webhookUrl }
  await postgres.query('truncate users, gaps, plays cascade')
  await addUser(postgres, spotify, 0)
  await postgres.query('update poll_state set last_ok_at = now()')
  return () => spotify.stop()
})

interface Finding {
  state: 'ok' | 'warn' | 'fail'
  subject: string
  text: string
  hint: string | null
}

interface Examined {
  code: number | null
  /** Findings that are not ok, as `fail registry reachable: …`. */
  troubles: string[]
  /** Findings that are ok, in the same form. */
  well: string[]
  hints: string
  details: Record<string, { well: number; troubled: { troubles: string[] }[] }>
}

/** Runs the real command in a changed environment and reads its findings. */
async function examine(more: Record<string, string> = {}, ...args: string[]): Promise<Examined> {
  const { code, stdout, stderr } = await runSongswap(['doctor', '--json', ...args], { ...env, ...more })
  expect(stderr).toBe('')
  const { checks, healthy } = JSON.parse(stdout)
  expect(healthy).toBe(code === 0)
  const findings: (Finding & { check: string })[] = checks.flatMap(
    (check: { name: string; findings: Finding[] }) =>
      check.findings.map((finding) => ({ ...finding, check: check.name })),
  )
  const toLine = (f: Finding & { check: string }) => `${f.state} ${f.check} ${f.subject}: ${f.text}`
  // The servers of tests need not survive a crash; another test covers that finding.
  const troubles = findings.filter((f) => f.state !== 'ok' && f.subject !== 'durability')
  expect(troubles.filter((f) => !f.hint)).toEqual([])
  return {
    code,
    troubles: troubles.map(toLine),
    well: findings.filter((f) => f.state === 'ok').map(toLine),
    hints: troubles.map((f) => f.hint).join('\n'),
    details: Object.fromEntries(checks.map((c: { name: string; detail: unknown }) => [c.name, c.detail])),
  }
}

const asked = () => Object.values(spotify.stats().answers).reduce((sum, n) => sum + n, 0)

async function migrate(): Promise<void> {
  const { DATABASE_URL: databaseUrl } = parseEnv(postgresEnv, stream.env)
  await migrateAll({ kafka: stream.config, databaseUrl, log: stream.log })
}

describe('when all is well', () => {
  test('every check is ok, and nothing is left behind', async () => {
    const before = await readSubjects()
    const posts = discord.messages.length
    const { code, troubles, well } = await examine()
    expect(troubles.filter((line) => !line.includes('disk'))).toEqual([])
    expect(code).toBe(0)
    for (const check of ['configuration', 'broker', 'registry', 'postgres', 's3', 'spotify', 'users']) {
      expect(well.some((line) => line.startsWith(`ok ${check} `))).toBe(true)
    }
    expect(well).toContain('ok configuration settings: valid for poller, archiver, loader, enricher, alerter')
    expect(await readSubjects()).toEqual(before)
    expect(await Array.fromAsync(s3.list(`${stream.env.S3_PREFIX}/`))).toEqual([])
    expect(discord.messages.length).toBe(posts)
  })

  test('it fits 80 columns and ends with a verdict', async () => {
    const { code, stdout, stderr } = await runSongswap(['doctor'], env)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(stdout).toMatch(/^configuration\n {2}ok {4}settings: valid/)
    expect(stdout).toMatch(/\n(all is well|\d+ warnings?, \d+ ok)\n$/)
  })

  test('the help fits 80 columns and shows examples', async () => {
    const { code, stdout } = await runSongswap(['doctor', '--help'], env)
    expect(code).toBe(0)
    expect(stdout).toContain('Examples:')
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test('two requests to Spotify are made, and counted', async () => {
    const { well } = await examine({}, '--only', 'spotify')
    expect(well).toContain('ok spotify requests: 2 requests, counted in the budget')
    expect(asked()).toBe(2)
    const used = await postgres.query(`select lane, used from api_pauses where client_id = $1 and used > 0`, [
      env.SPOTIFY_CLIENT_ID,
    ])
    expect(used.rows).toEqual([{ lane: 'accounts', used: 2 }])
  })

  test('--only checks nothing else', async () => {
    const { code, well, troubles } = await examine({ DATABASE_URL: '' }, '--only', 'registry', 's3')
    expect(code).toBe(0)
    expect(troubles).toEqual([])
    expect(well.every((line) => /^ok (registry|s3) /.test(line))).toBe(true)
    const unknown = await runSongswap(['doctor', '--only', 'weather'], env)
    expect(unknown.code).toBe(2)
    expect(unknown.stderr).toContain('configuration')
  })
})

async function readSubjects(): Promise<unknown> {
  const url = `${stream.env.SCHEMA_REGISTRY_URL}/subjects`
  const ours = Object.values(stream.topology).flatMap((topic) =>
    'schema' in topic ? [subjectOf(topic)] : [],
  )
  return Promise.all(ours.map(async (subject) => (await request(`${url}/${subject}/versions`)).body.json()))
}

describe('configuration', () => {
  test('the faults of all services are told at once, without a secret', async () => {
    const { code, troubles } = await examine(
      { S3_BUCKET: '', SPOTIFY_CLIENT_SECRET: '', TOKEN_ENCRYPTION_KEYS: 'k:hunter2' },
      ...['--only', 'configuration'],
    )
    expect(code).toBe(1)
    expect(troubles).toEqual([
      'fail configuration settings: SPOTIFY_CLIENT_SECRET: is missing (poller, enricher)',
      expect.stringMatching(
        /^fail configuration settings: TOKEN_ENCRYPTION_KEYS: each key must .* \(poller\)$/,
      ),
      'fail configuration settings: S3_BUCKET: is missing (archiver)',
    ])
  })

  test('a weak secret and an interval in which plays pass are warnings', async () => {
    const weak = `weak:${Buffer.alloc(32, 7).toString('base64url')}`
    const { code, troubles } = await examine(
      { TOKEN_ENCRYPTION_KEYS: weak, POLL_MAX_INTERVAL_SECONDS: '3600' },
      ...['--only', 'configuration'],
    )
    expect(code).toBe(0)
    expect(troubles).toEqual([
      'warn configuration TOKEN_ENCRYPTION_KEYS: the key "weak" is not random',
      expect.stringMatching(/^warn configuration POLL_MAX_INTERVAL_SECONDS: 3600: 50 plays can pass/),
    ])
  })

  test('a budget that cannot poll everybody safely is told', async () => {
    const { code, troubles } = await examine({ SPOTIFY_DAILY_REQUESTS: '50' }, '--only', 'configuration')
    expect(code).toBe(0)
    expect(troubles).toEqual([
      expect.stringMatching(
        /^warn configuration request budget: 50 requests a day poll 1 active user every 5\dm/,
      ),
    ])
    const none = await examine({ SPOTIFY_DAILY_REQUESTS: '10' }, '--only', 'configuration')
    expect(none.code).toBe(1)
  })
})

describe('broker', () => {
  test('Kafka that is away is one failure, and the other checks go on', async () => {
    const { code, troubles, well } = await examine({ KAFKA_BROKERS: '127.0.0.1:1' }, '--only', 'broker', 's3')
    expect(code).toBe(1)
    expect(troubles).toEqual([expect.stringContaining('Kafka at 127.0.0.1:1 does not answer')])
    expect(well.some((line) => line.startsWith('ok s3'))).toBe(true)
  })

  test('a broker that accepts and never answers is given up in time', async () => {
    const KAFKA_BROKERS = `127.0.0.1:${await listenSilently()}`
    const { code, troubles } = await examine({ KAFKA_BROKERS }, '--only', 'broker')
    expect(code).toBe(1)
    expect(troubles).toEqual([expect.stringMatching(/^fail broker time: no answer within 15 seconds/)])
  })

  test('a missing topic is named, and migrate brings it back', async () => {
    const { name } = stream.topology.metadataWanted
    await withKafkaAdmin((admin) => admin.deleteTopics({ topics: [name] }))
    const { code, troubles, hints } = await examine({}, '--only', 'broker')
    expect(code).toBe(1)
    expect(troubles).toEqual([`fail broker topic ${name}: it is missing`])
    expect(hints).toContain('npm run migrate')
    await migrate()
    expect((await examine({}, '--only', 'broker')).troubles).toEqual([])
  })

  test('a wrong retention is named, and migrate brings it back', async () => {
    const { name } = stream.topology.recentlyPlayed
    const configEntries = [{ name: 'retention.ms', value: '86400000' }]
    await withKafkaAdmin((admin) =>
      admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name, configEntries }] }),
    )
    const { code, troubles } = await examine({}, '--only', 'broker')
    expect(code).toBe(1)
    expect(troubles).toContain(`fail broker topic ${name}: retention.ms is 1 day in place of 30 days`)
    await migrate()
    expect((await examine({}, '--only', 'broker')).troubles).toEqual([])
  })

  test('answers that wait for the archiver are a warning before compaction may remove them', async () => {
    const { name } = stream.topology.metadata
    const { kafka } = await stream.openKafka()
    const waiting = { key: 'track:waits', value: Buffer.from('x'), timestamp: Date.now() - 5 * 86_400_000 }
    await kafka.publishBytes(name, [waiting])
    const { code, troubles, hints } = await examine({}, '--only', 'broker')
    expect(code).toBe(0)
    expect(troubles).toEqual([
      `warn broker archiver of ${name}: the oldest record has waited for 5d; compaction leaves records alone for 7d`,
    ])
    expect(hints).toContain('min.compaction.lag.ms')
    await withKafkaAdmin((admin) => admin.deleteTopics({ topics: [name] }))
    await migrate()
  })

  test('more replicas wanted than there are is a failure', async () => {
    const { code, troubles } = await examine({ KAFKA_REPLICATION_FACTOR: '3' }, '--only', 'broker')
    expect(code).toBe(1)
    expect(troubles).toContain('fail broker KAFKA_REPLICATION_FACTOR: 3, with 1 broker')
    expect(troubles.filter((line) => line.includes('1 replica in place of 3'))).toHaveLength(5)
  })
})

type KafkaAdmin = ReturnType<ReturnType<typeof createClient>['admin']>

async function withKafkaAdmin(work: (admin: KafkaAdmin) => Promise<unknown>): Promise<void> {
  const admin = createClient({ config: stream.config, log: stream.log, name: 'test' }).admin()
  await admin.connect()
  await work(admin).finally(() => admin.disconnect())
}

describe('registry', () => {
  test('a registry that is away is one failure', async () => {
    const SCHEMA_REGISTRY_URL = 'http://127.0.0.1:1/apis/ccompat/v7'
    const { code, troubles } = await examine({ SCHEMA_REGISTRY_URL }, '--only', 'registry', 'broker')
    expect(code).toBe(1)
    expect(troubles).toEqual([
      expect.stringMatching(/^fail registry cannot be checked: The schema registry at \S+ does not answer/),
    ])
  })

  test('a password in its address is not told', async () => {
    const SCHEMA_REGISTRY_URL = 'http://u:hunter2@127.0.0.1:1/apis/ccompat/v7'
    const { code, troubles } = await examine({ SCHEMA_REGISTRY_URL }, '--only', 'registry')
    expect(code).toBe(1)
    expect(troubles.join()).toContain('127.0.0.1:1 does not answer')
    expect(troubles.join()).not.toContain('hunter2')
  })

  test('a registry that accepts and never answers is given up in time', async () => {
    const port = await listenSilently()
    const SCHEMA_REGISTRY_URL = `http://127.0.0.1:${port}/apis/ccompat/v7`
    const { code, troubles } = await examine({ SCHEMA_REGISTRY_URL }, '--only', 'registry', 'postgres')
    expect(code).toBe(1)
    expect(troubles).toEqual([expect.stringMatching(/^fail registry/)])
  })

  test('a subject without compatibility is named, and migrate brings it back', async () => {
    const subject = subjectOf(stream.topology.metadata)
    await request(`${stream.env.SCHEMA_REGISTRY_URL}/config/${subject}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
      body: JSON.stringify({ compatibility: 'NONE' }),
    })
    const { code, troubles } = await examine({}, '--only', 'registry')
    expect(code).toBe(1)
    expect(troubles).toEqual([
      `fail registry ${subject}: compatibility is NONE in place of BACKWARD_TRANSITIVE`,
      `fail registry ${subject}: it would take a schema that cannot read what was written before`,
    ])
    await migrate()
    expect((await examine({}, '--only', 'registry')).troubles).toEqual([])
  })

  test('a subject that cannot be judged hides no other', async () => {
    const odd = subjectOf(stream.topology.events)
    const gate = await openS3Gate(stream.env.SCHEMA_REGISTRY_URL ?? '')
    onTestFinished(() => gate.close())
    gate.onRequest = (_method, path) =>
      path.includes(`/subjects/${odd}`) ? { type: 'status', status: 500, code: 'Odd' } : null
    const url = `${gate.endpoint}${new URL(stream.env.SCHEMA_REGISTRY_URL ?? '').pathname}`
    const { code, troubles, well } = await examine({ SCHEMA_REGISTRY_URL: url }, '--only', 'registry')
    expect(code).toBe(1)
    expect(troubles).toEqual([`fail registry ${odd}: The schema registry answers 500`])
    expect(well.filter((line) => line.includes('refuses what is incompatible'))).toHaveLength(3)
  })

  test('subjects that are not registered are named', async () => {
    const { code, troubles } = await examine({ KAFKA_PREFIX: 'nowhere.' }, '--only', 'registry')
    expect(code).toBe(1)
    expect(troubles).toContain('fail registry nowhere.ops.events-value: it is not registered')
    expect(troubles).toHaveLength(4)
  })
})

async function listenSilently(): Promise<number> {
  const server = createTcpServer(() => undefined)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

describe('postgres', () => {
  test('a database that is away fails what needs it; the rest goes on without', async () => {
    const DATABASE_URL = 'postgres://u:hunter2-of-the-database@127.0.0.1:1/x'
    const { code, troubles, well } = await examine({ DATABASE_URL })
    expect(code).toBe(1)
    const failed = troubles.filter((line) => line.startsWith('fail'))
    expect(failed.map((line) => line.split(' ')[1])).toEqual(['postgres', 'users'])
    expect(well).toContain('ok spotify requests: 2 requests, not counted: Postgres is away')
    expect(troubles.join()).not.toContain('hunter2')
  })

  test('a database that is not migrated is told so', async () => {
    const url = new URL(env.DATABASE_URL ?? '')
    url.pathname = '/postgres'
    const { code, troubles } = await examine({ DATABASE_URL: url.href }, '--only', 'postgres')
    expect(code).toBe(1)
    expect(troubles).toEqual([expect.stringContaining('fail postgres migrations: missing: 0001_contract')])
  })

  test('a server whose crash loses plays is a warning', async () => {
    const { code, stdout } = await runSongswap(['doctor', '--only', 'postgres'], env)
    expect(code).toBe(0)
    expect(stdout).toMatch(/warn +durability: fsync = off/)
  })

  test('an index that is not valid is named', async () => {
    await postgres.query(
      `insert into plays (user_id, played_at, track_id, source, page_partition, page_offset)
       select 1, now() + make_interval(secs => n), 'a', 'poll', 0, n from generate_series(1, 2) n`,
    )
    // Fails for the duplicates, and leaves an invalid index.
    await expect(
      postgres.query('create unique index concurrently broken on plays (source)'),
    ).rejects.toThrow()
    const { code, troubles, hints } = await examine({}, '--only', 'postgres')
    await postgres.query('drop index broken')
    expect(code).toBe(1)
    expect(troubles).toEqual(['fail postgres index broken: it is not valid: it is not used'])
    expect(hints).toContain('REINDEX INDEX CONCURRENTLY "broken"')
  })
})

describe('s3', () => {
  test('a bucket that is not there is a failure', async () => {
    const { code, troubles } = await examine({ S3_BUCKET: 'no-such-bucket' }, '--only', 's3')
    expect(code).toBe(1)
    expect(troubles).toEqual([expect.stringMatching(/^fail s3 cannot be checked: .*NoSuchBucket/)])
  })

  test('a store that overwrites is a failure', async () => {
    const gate = await openS3Gate(stream.env.S3_ENDPOINT ?? '')
    onTestFinished(() => gate.close())
    // Like a store that ignores If-None-Match: the second put finds no object.
    gate.onRequest = async (method, path) => {
      if (method === 'PUT')
        await s3.delete(decodeURIComponent(path.split('?')[0]?.split('/').slice(2).join('/') ?? ''))
      return null
    }
    const { code, troubles } = await examine({ S3_ENDPOINT: gate.endpoint }, '--only', 's3')
    expect(code).toBe(1)
    expect(troubles[0]).toMatch(/^fail s3 conditional put: If-None-Match is ignored/)
    expect(await Array.fromAsync(s3.list(`${stream.env.S3_PREFIX}/`))).toEqual([])
  })

  test('rules of the bucket that this user may not read are not taken for none', async () => {
    const gate = await openS3Gate(stream.env.S3_ENDPOINT ?? '')
    onTestFinished(() => gate.close())
    gate.onRequest = (_method, path) =>
      path.includes('lifecycle') ? { type: 'status', status: 403, code: 'AccessDenied' } : null
    const { code, troubles } = await examine({ S3_ENDPOINT: gate.endpoint }, '--only', 's3')
    expect(code).toBe(0)
    expect(troubles).toEqual(['warn s3 settings of the bucket: not known, lifecycle: by the test'])
  })

  test('an object whose put was done but not answered does not stay', async () => {
    const gate = await openS3Gate(stream.env.S3_ENDPOINT ?? '')
    onTestFinished(() => gate.close())
    gate.onRequest = (method) => (method === 'PUT' ? { type: 'lost-answer' } : null)
    const { code, well } = await examine({ S3_ENDPOINT: gate.endpoint }, '--only', 's3')
    expect(code).toBe(1)
    expect(well).toEqual(['ok s3 delete: the object is gone again'])
    expect(await Array.fromAsync(s3.list(`${stream.env.S3_PREFIX}/`))).toEqual([])
  })

  test('without the right to delete there is a warning', async () => {
    const gate = await openS3Gate(stream.env.S3_ENDPOINT ?? '')
    onTestFinished(() => gate.close())
    gate.onRequest = (method) =>
      method === 'DELETE' ? { type: 'status', status: 403, code: 'AccessDenied' } : null
    const { code, troubles } = await examine({ S3_ENDPOINT: gate.endpoint }, '--only', 's3')
    expect(code).toBe(0)
    expect(troubles).toEqual([expect.stringMatching(/^warn s3 delete: \S+\.doctor\/\S+ stays: .*403/)])
    for await (const key of s3.list(`${stream.env.S3_PREFIX}/`)) await s3.delete(key)
  })
})

describe('spotify', () => {
  async function simulate(options: Partial<SpotifySimulatorOptions>): Promise<void> {
    await spotify.stop()
    spotify = await startSpotifySimulator({ listeners: 1, plays: 'none', ...options })
    env = { ...env, ...spotify.env }
  }

  async function readBatchCapability(): Promise<unknown> {
    const { rows } = await postgres.query(
      `select allowed from api_capabilities where client_id = $1 and capability = 'artists.batch'`,
      [env.SPOTIFY_CLIENT_ID],
    )
    return rows[0]?.allowed
  }

  test.each([
    ['development', 'Development Mode', false],
    ['extended', 'Extended Quota Mode', true],
  ] as const)('%s is told as %s and remembered', async (mode, words, allowed) => {
    await simulate({ mode })
    const { code, troubles, well } = await examine({}, '--only', 'spotify')
    expect({ code, troubles }).toEqual({ code: 0, troubles: [] })
    expect(well.some((line) => line.startsWith(`ok spotify app: ${words}`))).toBe(true)
    expect(await readBatchCapability()).toBe(allowed)
  })

  test('a lapsed Premium is a failure, and says nothing about the mode', async () => {
    spotify.setFaults({ forbidden_premium: 1 })
    const { code, troubles } = await examine({}, '--only', 'spotify')
    expect(code).toBe(1)
    expect(troubles).toEqual([expect.stringMatching(/^fail spotify app: the app owner's Premium has lapsed/)])
    expect(await readBatchCapability()).toBeUndefined()
  })

  test('a renewed Premium is seen at once, although the services still wait', async () => {
    spotify.scriptFault({ fault: 'forbidden_premium', endpoint: 'artists' })
    expect((await examine({}, '--only', 'spotify')).code).toBe(1)
    const { code, well, troubles } = await examine({}, '--only', 'spotify')
    expect(code).toBe(0)
    expect(well.some((line) => line.includes('app: Development Mode'))).toBe(true)
    expect(troubles.filter((line) => line.includes('premium_lapsed'))).toHaveLength(2)
  })

  test('a renewed Premium lifts the pause at once', async () => {
    spotify.scriptFault({ fault: 'forbidden_premium', endpoint: 'artists' })
    await examine({}, '--only', 'spotify')
    const paused = () =>
      postgres.query(`select lane from api_pauses where client_id = $1 and paused_until > now()`, [
        env.SPOTIFY_CLIENT_ID,
      ])
    expect((await paused()).rowCount).toBe(2)
    const { well } = await examine({}, '--only', 'spotify')
    expect(well).toContainEqual(expect.stringMatching(/^ok spotify premium: .*is lifted/))
    expect((await paused()).rowCount).toBe(0)
    expect((await examine({}, '--only', 'spotify')).troubles).toEqual([])
  })

  test('wrong credentials are a failure', async () => {
    await simulate({ client: { id: 'right', secret: 'right', redirectUris: [] } })
    const { code, troubles, well } = await examine({}, '--only', 'spotify')
    expect(code).toBe(1)
    expect(troubles).toEqual([expect.stringMatching(/^fail spotify credentials: .*invalid_client/)])
    expect(well).toContain('ok spotify requests: 1 request, counted in the budget')
  })

  test('what is asked in spite of a pause for wrong credentials is counted', async () => {
    const used = async () =>
      (
        await postgres.query<{ n: number }>(
          'select sum(used)::int as n from api_pauses where client_id = $1',
          [env.SPOTIFY_CLIENT_ID],
        )
      ).rows[0]?.n ?? 0
    await simulate({ client: { id: 'right', secret: 'right', redirectUris: [] } })
    const [before, askedBefore] = [await used(), asked()]
    await examine({}, '--only', 'spotify')
    await examine({}, '--only', 'spotify')
    expect(asked() - askedBefore).toBe(2)
    expect((await used()) - before).toBe(2)
  })

  test.each([
    ['rate_limited', "paused_until = now() + interval '1 h', reason = 'rate_limited'"],
    ['quota_exceeded', "paused_until = now() + interval '1 h', reason = 'quota_exceeded'"],
  ])('while a pause for %s is in force nothing is asked', async (reason, pause) => {
    await examine({}, '--only', 'spotify')
    const before = asked()
    await postgres.query(`update api_pauses set ${pause} where client_id = $1`, [env.SPOTIFY_CLIENT_ID])
    const { code, troubles, well } = await examine({}, '--only', 'spotify')
    expect(code).toBe(0)
    for (const lane of ['polling', 'enrichment', 'accounts'] satisfies RequestLane[]) {
      expect(troubles).toContainEqual(
        expect.stringMatching(`warn spotify lane ${lane}: .*59m more: ${reason}`),
      )
    }
    expect(troubles).toContainEqual(expect.stringContaining('credentials: not asked'))
    expect(well).toContain('ok spotify requests: none were made')
    expect(asked()).toBe(before)
  })

  test('a quota of metadata alone lets the credentials be tried, and the mode be remembered', async () => {
    await examine({}, '--only', 'spotify')
    await postgres.query(
      `update api_pauses set paused_until = now() + interval '1 h', reason = 'quota_exceeded'
       where client_id = $1 and lane = 'enrichment'`,
      [env.SPOTIFY_CLIENT_ID],
    )
    const { well, troubles } = await examine({}, '--only', 'spotify')
    expect(well).toContain('ok spotify requests: 1 request, counted in the budget')
    expect(troubles).toContainEqual(
      expect.stringMatching(/app: not asked: .*last seen in Development Mode on/),
    )
  })

  test('a spent budget is a failure, and is not overdrawn', async () => {
    await examine({}, '--only', 'spotify')
    const before = asked()
    const { code, troubles } = await examine({ SPOTIFY_DAILY_REQUESTS: '2' }, '--only', 'spotify')
    expect(code).toBe(1)
    expect(troubles).toContainEqual(expect.stringContaining('0 of 2 requests left'))
    expect(asked()).toBe(before)
  })

  test('a redirect address that Spotify refuses is a failure', async () => {
    const SPOTIFY_REDIRECT = 'http://localhost:5000/callback'
    const { code, troubles } = await examine({ SPOTIFY_REDIRECT }, '--only', 'spotify')
    expect(code).toBe(1)
    expect(troubles).toEqual([
      expect.stringMatching(/^fail spotify SPOTIFY_REDIRECT: .*localhost is refused/),
    ])
  })

  test('the redirect address is the one that connect uses', async () => {
    const { well } = await examine({ SPOTIFY_REDIRECT_PORT: '9000' }, '--only', 'spotify')
    expect(well).toContain(
      'ok spotify redirect address: users connect waits at http://127.0.0.1:9000/callback; the dashboard must list that',
    )
    const { code, troubles } = await examine({ SPOTIFY_REDIRECT_PORT: '90000' }, '--only', 'spotify')
    expect(code).toBe(1)
    expect(troubles).toEqual([expect.stringMatching(/^fail spotify SPOTIFY_REDIRECT_PORT: 90000/)])
    const SPOTIFY_REDIRECT = 'https://songs.example/callback'
    const unused = await examine({ SPOTIFY_REDIRECT }, '--only', 'spotify')
    expect(unused.troubles).toEqual([expect.stringMatching(/^warn spotify SPOTIFY_REDIRECT: .* is not what/)])
  })

  test('a Spotify that hangs is given up in time', async () => {
    spotify.scriptFault({ fault: 'hang', endpoint: 'token' })
    const { code, troubles } = await examine({}, '--only', 'spotify')
    expect(code).toBe(1)
    expect(troubles).toEqual([expect.stringMatching(/^fail spotify credentials: no app token: timeout/)])
  })
})

describe('users', () => {
  test('a dead token is a warning while others are polled, with age, days left and gaps in a table', async () => {
    const dead = await addUser(postgres, spotify, 1, { displayName: 'Ada' })
    await postgres.query(
      `update users set status = 'needs_reauth', status_reason = 'invalid_grant',
         authorized_at = now() - interval '100 days 1 h' where id = $1`,
      [dead],
    )
    await postgres.query(
      `insert into gaps (user_id, after, before) values ($1, now() - interval '2 h', now() - interval '1 h')`,
      [dead],
    )
    const { code, troubles, details } = await examine({}, '--only', 'users')
    expect(code).toBe(0)
    expect(troubles).toEqual(['warn users users: 1 of 2 users in trouble, 1 well'])
    expect(details.users).toMatchObject({
      well: 1,
      troubled: [
        {
          ...{ id: dead, status: 'needs_reauth', tokenAgeDays: 100, consentDaysLeft: 79, openGaps: 1 },
          troubles: ['token is dead: invalid_grant', '1 open gap'],
        },
      ],
    })
    const { stdout } = await runSongswap(['doctor', '--only', 'users'], env)
    expect(stdout).toMatch(/Ada +needs_reauth +100d +79d/)
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test('when nobody is polled any more it is a failure', async () => {
    await postgres.query(`update users set status = 'needs_reauth'`)
    const { code, troubles } = await examine({}, '--only', 'users')
    expect(code).toBe(1)
    expect(troubles[0]).toBe('fail users status: nobody is polled: 1 needs_reauth')
  })

  test('a consent that ends, a scope that lacks and a silent poll are told', async () => {
    await postgres.query(`update users set authorized_at = now() - interval '175 days 1 h'`)
    await postgres.query(`update spotify_tokens set scope = 'user-read-email'`)
    await postgres.query(`update poll_state set last_ok_at = now() - interval '5 h'`)
    const { code, details } = await examine({}, '--only', 'users')
    expect(code).toBe(0)
    expect(details.users?.troubled[0]?.troubles).toEqual([
      'scope lacks user-read-recently-played',
      'consent ends in 4d',
      'no poll has worked for 5h',
    ])
  })

  test('a user who was not polled for days is a failure, with what they fail with', async () => {
    const id = await addUser(postgres, spotify, 1)
    await postgres.query(
      `update poll_state set last_ok_at = now() - interval '3 days', failures = 99, last_error = 'refused',
         failing_since = now() - interval '3 days', next_poll_at = now() + interval '1 minute' where user_id = $1`,
      [id],
    )
    const { code, troubles } = await examine({}, '--only', 'users')
    expect(code).toBe(1)
    expect(troubles).toContain(`fail users unpolled: 1 user not polled: ${id} for 3d`)
    const { stdout } = await runSongswap(['status', '--json'], env)
    expect(JSON.parse(stdout).problems).toContain(`1 user not polled for more than a day: ${id}`)
  })

  test('users who are due while no poller runs are a failure, here and in the status', async () => {
    await postgres.query(
      `update poll_state set last_ok_at = now() - interval '1 h', next_poll_at = now() - interval '50 minutes'`,
    )
    const { code, troubles } = await examine({}, '--only', 'users')
    expect(code).toBe(1)
    expect(troubles).toEqual([
      expect.stringMatching(/^fail users poller: no session, last poll 1h ago, 1 user overdue/),
      'fail users polling: users are due, and nobody is polled',
    ])
    const { stdout } = await runSongswap(['status', '--json'], env)
    expect(JSON.parse(stdout).problems).toContain(
      'polling has stopped: nobody has been polled for 1h, though users are due',
    )
  })

  test('tokens of another app are a failure that says whose they are and what to do', async () => {
    const other = await addUser(postgres, spotify, 1)
    await postgres.query('update poll_state set last_ok_at = now()')
    expect((await examine({}, '--only', 'users')).code).toBe(0)
    await postgres.query(`update spotify_tokens set client_id = 'the-old-app' where user_id = $1`, [other])
    const { code, troubles, hints, details } = await examine({}, '--only', 'users')
    expect(code).toBe(1)
    expect(troubles).toContain(
      `fail users app of the tokens: 1 user with tokens of the app the-old-app, which is not SPOTIFY_CLIENT_ID: ${other}`,
    )
    expect(hints).toContain('id and secret of that app')
    expect(hints).toContain('songswap users connect')
    expect(details.users).toMatchObject({ well: 1, troubled: [{ troubles: ['tokens of another app'] }] })
  })

  test('a lost encryption key is a failure', async () => {
    const TOKEN_ENCRYPTION_KEYS = `other:${Buffer.from('0123456789abcdefghijklmnopqrstuv').toString('base64url')}`
    const { code, troubles } = await examine({ TOKEN_ENCRYPTION_KEYS }, '--only', 'users')
    expect(code).toBe(1)
    expect(troubles).toEqual([expect.stringMatching(/^fail users tokens: 1 user: .*sealed with key "test"/)])
  })

  test('without users there is a warning', async () => {
    await postgres.query('truncate users cascade')
    const { code, troubles } = await examine({}, '--only', 'users')
    expect({ code, troubles }).toEqual({ code: 0, troubles: ['warn users users: nobody is connected'] })
  })
})

describe('discord', () => {
  test('alerts that the alerter could not deliver are a failure, though the webhook is there', async () => {
    await postgres.query(`insert into alert_delivery (webhook, detail) values ('w', '400 needs a tag')`)
    onTestFinished(async () => void (await postgres.query('truncate alert_delivery')))
    const { code, troubles } = await examine({}, '--only', 'discord')
    expect(code).toBe(1)
    expect(troubles).toEqual([
      expect.stringMatching(/^fail discord delivery: no alert is delivered since .*: 400 needs a tag$/),
    ])
    expect(discord.messages).toEqual([])
  })

  test('a deleted webhook is a failure', async () => {
    discord.deleteWebhook()
    onTestFinished(() => discord.restoreWebhook())
    const { code, troubles } = await examine({}, '--only', 'discord')
    expect({ code, troubles }).toEqual({ code: 1, troubles: ['fail discord webhook: it was deleted (404)'] })
  })

  test('a wrong token is a failure, and never told', async () => {
    const DISCORD_WEBHOOK_URL = `${discord.webhookUrl}-wrong`
    const { code, stdout } = await runSongswap(['doctor', '--only', 'discord', '--post'], {
      ...env,
      DISCORD_WEBHOOK_URL,
    })
    expect(code).toBe(1)
    expect(stdout).toContain('its token is wrong (401)')
    expect(stdout).not.toContain('-wrong')
  })

  test('--post posts one message', async () => {
    const before = discord.messages.length
    const { code, well } = await examine({}, '--only', 'discord', '--post')
    expect(code).toBe(0)
    expect(well).toContain('ok discord post: a test message was posted')
    expect(discord.messages.slice(before)).toMatchObject([{ embeds: [{ title: 'A test' }] }])
  })

  test('without a webhook there is a warning', async () => {
    const { code, troubles } = await examine({ DISCORD_WEBHOOK_URL: '' }, '--only', 'discord')
    expect(code).toBe(0)
    expect(troubles).toEqual([expect.stringMatching(/^warn discord webhook: .*not set/)])
  })

  test('what is no webhook, or away, fails', async () => {
    const { code } = await examine(
      { DISCORD_WEBHOOK_URL: 'https://discord.com/nonsense' },
      '--only',
      'discord',
    )
    expect(code).toBe(1)
    const away = await examine(
      { DISCORD_WEBHOOK_URL: 'http://127.0.0.1:1/api/webhooks/1/x' },
      '--only',
      'discord',
    )
    expect(away.troubles).toEqual([expect.stringMatching(/^fail discord .*127\.0\.0\.1:1 does not answer/)])
  })
})

describe('clock', () => {
  test.each([
    ['an hour ahead', 3_660_000, 1, 'fail clock Spotify: its clock is 1h ahead of this machine'],
    ['ten seconds behind', -12_000, 0, 'warn clock Spotify: its clock is 1'],
  ])("Spotify's Date %s", async (_title, skewMs, expected, line) => {
    const SPOTIFY_ACCOUNTS_URL = await openSkewedProxy(spotify.url, skewMs)
    const { code, troubles } = await examine({ SPOTIFY_ACCOUNTS_URL }, '--only', 'clock')
    expect(code).toBe(expected)
    expect(troubles).toEqual([expect.stringContaining(line)])
  })

  test('reading clocks costs no request of the Web API', async () => {
    const { troubles } = await examine({}, '--only', 'clock')
    expect(troubles).toEqual([])
    expect(asked()).toBe(0)
  })
})

/** Passes HTTP on and shifts the Date header of answers. */
async function openSkewedProxy(target: string, skewMs: number): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const { method, headers, url } = incoming
    const passed = httpRequest(target + url, { method, headers }, (answer) => {
      const date = new Date(Date.parse(answer.headers.date ?? '') + skewMs).toUTCString()
      outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, date })
      answer.pipe(outgoing)
    })
    incoming.pipe(passed)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('disk: a spool folder that is none is a failure', async () => {
  const { code, troubles } = await examine({ ARCHIVE_SPOOL_DIR: '/no/such/folder' }, '--only', 'disk')
  expect(code).toBe(1)
  expect(troubles).toContainEqual(
    expect.stringMatching(/^fail disk spool folder: \/no\/such\/folder: ENOENT/),
  )
})
