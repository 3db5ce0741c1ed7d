import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { parseEnv, tokenKeysEnv } from '../../lib/config.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import { createTokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { startDiscordSimulator } from '../../simulators/discord/simulator.ts'
import type { SpotifySimulator } from '../../simulators/spotify/simulator.ts'
import { startSpotifySimulator } from '../../simulators/spotify/simulator.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import type { Running } from '../support/songswap.ts'
import { runSongswap, spawnSongswap, startSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

let stream: Stream
let spotify: SpotifySimulator
let rotating: SpotifySimulator
let postgres: Postgres
let env: Record<string, string>

const credentials = { SPOTIFY_CLIENT_ID: 'cli-test', SPOTIFY_CLIENT_SECRET: 'top-secret-of-the-app' }

beforeAll(async () => {
  stream = await createStream()
  spotify = await startSpotifySimulator({ listeners: 30, plays: 'none' })
  rotating = await startSpotifySimulator({
    listeners: 30,
    plays: 'none',
    refreshTokenRotation: 'always',
    seed: 2,
  })
  env = { ...stream.env, ...spotify.env, ...credentials }
  const url = new Secret(env.DATABASE_URL ?? '')
  postgres = openPostgres({ url, connections: 2, name: 'test', log: stream.log })
})

afterAll(async () => {
  await postgres?.close()
  await spotify?.stop()
  await rotating?.stop()
  await stream?.release()
})

const songswap = (args: string[], input?: string) => runSongswap(args, env, input)

async function readUser(id: number) {
  const { rows } = await postgres.query(
    `select u.*, t.refresh_token, t.access_token, t.expires_at > now() as fresh, t.scope,
       s.failures, s.last_error, s.lease_id, s.page_digest, s.next_poll_at <= now() as due
     from users u join spotify_tokens t on t.user_id = u.id join poll_state s on s.user_id = u.id
     where u.id = $1`,
    [id],
  )
  return rows[0]
}

function openSealed(sealed: string): Promise<string> {
  return createTokenCrypto(parseEnv(tokenKeysEnv, env).TOKEN_ENCRYPTION_KEYS).open(sealed)
}

async function addUser(listener: number): Promise<number> {
  const { code, stdout, stderr } = await songswap(['users', 'add'], spotify.refreshToken(listener))
  expect(code, stderr).toBe(0)
  return Number(stdout)
}

/** An app's used requests in each lane, and whether the lane is paused. */
async function readLanes(clientId: string) {
  const { rows } = await postgres.query(
    `select lane, used, paused_until > now() as paused from api_pauses where client_id = $1 order by lane`,
    [clientId],
  )
  return rows
}

async function countUsers(): Promise<number> {
  const { rows } = await postgres.query('select count(*) as count from users')
  return rows[0].count
}

/** Follows the consent address like a browser whose user agrees; returns the address of the redirect back. */
async function agree(address: string, listener: number, extra = ''): Promise<string> {
  const response = await fetch(`${address}&listener=${listener}${extra}`, { redirect: 'manual' })
  const location = response.headers.get('location')
  if (!location) throw new Error(`no redirect: ${response.status} ${await response.text()}`)
  return location
}

async function startConnect(
  more: Record<string, string> = {},
  ...args: string[]
): Promise<{ running: Running; address: string }> {
  const running = startSongswap(['users', 'connect', '--port', '0', ...args], { ...env, ...more })
  return { running, address: await running.says(/(http[^\s"]+\/authorize[^\s"]+)/) }
}

describe('users add', () => {
  test('stores who the token is of, sealed, and prints the id alone', async () => {
    const token = spotify.refreshToken(1)
    const { code, stdout, stderr } = await songswap(['users', 'add'], `${token}\n`)
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/^\d+\n$/)
    const user = await readUser(Number(stdout))
    expect(user).toMatchObject({ spotify_id: 'listener-1', status: 'active', fresh: true, due: true })
    expect(user.scope).toContain('user-read-recently-played')
    expect(user.refresh_token).not.toContain(token)
    expect(await openSealed(user.refresh_token)).toBe(token)
    expect(stdout + stderr).not.toContain(token)
  })

  test('a rotated token is stored, not the one given', async () => {
    const given = rotating.refreshToken(2)
    const { code, stdout, stderr } = await runSongswap(['users', 'add'], { ...env, ...rotating.env }, given)
    expect(code, stderr).toBe(0)
    const stored = await openSealed((await readUser(Number(stdout))).refresh_token)
    expect(stored).not.toBe(given)
    expect(stderr).not.toContain(stored)
  })

  test('a null display name is stored as null', async () => {
    spotify.changeListener(3, { displayName: null })
    expect(await readUser(await addUser(3))).toMatchObject({ display_name: null, spotify_id: 'listener-3' })
  })

  test('a second token of the same user replaces the first', async () => {
    const id = await addUser(4)
    expect(await addUser(4)).toBe(id)
  })

  test('outages on the way to the profile are waited out', async () => {
    spotify.scriptFault({ fault: 'bad_gateway_html', endpoint: 'me', listener: 5 })
    spotify.scriptFault({ fault: 'rate_limited', endpoint: 'me', listener: 5 })
    expect(await addUser(5)).toBeGreaterThan(0)
  })

  test.each([
    [
      'a revoked token',
      () => spotify.changeListener(6, { refreshToken: 'revoked' }),
      'invalid_grant',
      'users connect',
    ],
    [
      'a user who is not listed',
      () => spotify.changeListener(6, { refreshToken: 'valid', listed: false }),
      'user_not_listed',
      'Dashboard',
    ],
    [
      'an outage of the accounts service',
      () => spotify.scriptFault({ fault: 'upstream_text', endpoint: 'token', listener: 6 }),
      'server_error',
      'Try again',
    ],
  ])('%s is told and nothing is stored', async (_what, happens, outcome, hint) => {
    const token = spotify.refreshToken(6)
    const before = await countUsers()
    happens()
    const { code, stdout, stderr } = await songswap(['users', 'add'], token)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(outcome)
    expect(stderr).toContain(hint)
    expect(stderr).not.toContain(token)
    expect(await countUsers()).toBe(before)
  })

  test.each([
    ['nothing', ''],
    ['two words', 'one two'],
  ])('%s on standard input is wrong usage', async (_what, input) => {
    const { code, stderr } = await songswap(['users', 'add'], input)
    expect(code).toBe(2)
    expect(stderr).toContain('songswap users add')
  })

  test('a token is not spent while the database is away', async () => {
    const token = rotating.refreshToken(7)
    const away = { ...env, ...rotating.env, DATABASE_URL: 'postgres://u:hunter2@127.0.0.1:1/x' }
    const failed = await runSongswap(['users', 'add'], away, token)
    expect(failed.code).toBe(1)
    expect(failed.stderr).toContain('127.0.0.1:1')
    expect(failed.stderr).not.toContain('hunter2')
    expect((await runSongswap(['users', 'add'], { ...env, ...rotating.env }, token)).code).toBe(0)
  })

  test('says when the user agreed, or that nobody knows: a token says nothing about its age', async () => {
    const authorizedAt = async (id: number) => {
      const { rows } = await postgres.query<{ at: Date | null }>(
        'select authorized_at as at from users where id = $1',
        [id],
      )
      return rows[0]?.at ?? null
    }
    const id = await addUser(4)
    expect(await authorizedAt(id)).toBeNull()
    const given = ['users', 'add', '--authorized-at', '2026-09-01']
    const known = await songswap(given, spotify.refreshToken(4))
    expect(known.stdout).toBe(`${id}\n`)
    expect(await authorizedAt(id)).toEqual(new Date('2026-09-01'))
    for (const wrong of ['yesterday', '2999-01-01', '2026-13-45']) {
      const { code } = await songswap(['users', 'add', '--authorized-at', wrong], spotify.refreshToken(4))
      expect(code).toBe(2)
    }
  })

  test('what is asked is counted, and its 429 is stored for everybody', async () => {
    const SPOTIFY_CLIENT_ID = `quota-${crypto.randomUUID()}`
    const own = { ...env, SPOTIFY_CLIENT_ID }
    spotify.scriptFault({ fault: 'quota_exceeded', endpoint: 'me' })
    const { code, stderr } = await runSongswap(['users', 'add'], own, spotify.refreshToken(4))
    expect({ code, quota: stderr.includes('quota_exceeded') }).toEqual({ code: 1, quota: true })
    expect(await readLanes(SPOTIFY_CLIENT_ID)).toEqual([
      { lane: 'accounts', used: 1, paused: null },
      { lane: 'enrichment', used: 0, paused: null },
      { lane: 'polling', used: 1, paused: true },
    ])
    // The next run is refused before it sends a request.
    const token = rotating.refreshToken(6)
    const late = await runSongswap(['users', 'add'], { ...own, ...rotating.env }, token)
    expect(late.stderr).toContain('Nothing was asked')
    expect((await runSongswap(['users', 'add'], { ...env, ...rotating.env }, token)).code).toBe(0)
  })

  test('--json tells who it is', async () => {
    const { stdout } = await songswap(['users', 'add', '--json'], spotify.refreshToken(8))
    expect(JSON.parse(stdout)).toMatchObject({
      id: expect.any(Number),
      spotifyId: 'listener-8',
      known: false,
    })
  })
})

describe('users connect', () => {
  test("a browser that follows Spotify's redirect connects the user", async () => {
    const { running, address } = await startConnect()
    const page = await fetch(await agree(address, 10))
    expect(page.status).toBe(200)
    expect(await page.text()).toContain('polled from now on')
    const { code, stdout, stderr } = await running.ended
    expect(code, stderr).toBe(0)
    expect(stdout).toBe(`${address}\n${Number(stdout.split('\n')[1])}\n`)
    expect(await readUser(Number(stdout.split('\n')[1]))).toMatchObject({
      spotify_id: 'listener-10',
      scope: 'user-read-recently-played',
      due: true,
    })
  })

  test('the callback address can be pasted', async () => {
    const { running, address } = await startConnect()
    running.type('what should I paste?')
    await running.says(/(not Spotify's answer)/)
    running.type(await agree(address, 11))
    const { code, stdout, stderr } = await running.ended
    expect(code, stderr).toBe(0)
    expect(await readUser(Number(stdout.split('\n')[1]))).toMatchObject({ spotify_id: 'listener-11' })
  })

  test('connecting again replaces a dead token and polls at once', async () => {
    const id = await addUser(12)
    const dead = await readUser(id)
    await postgres.query(
      `update users set status = 'needs_reauth', status_reason = 'invalid_grant',
         authorized_at = now() - interval '200 days' where id = $1`,
      [id],
    )
    await postgres.query(
      `update poll_state set next_poll_at = now() + interval '1 day', failures = 3, last_error = 'invalid_grant',
         lease_id = gen_random_uuid(), leased_until = now() + interval '1 minute', page_digest = 'known'
       where user_id = $1`,
      [id],
    )
    spotify.changeListener(12, { refreshToken: 'revoked' })
    const { running, address } = await startConnect({}, '--json')
    expect((await fetch(await agree(address, 12))).status).toBe(200)
    const { code, stdout } = await running.ended
    expect(code).toBe(0)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toMatchObject([{ consentAddress: address }, { id, spotifyId: 'listener-12', known: true }])
    const user = await readUser(id)
    expect(user).toMatchObject({
      status: 'active',
      status_reason: null,
      failures: 0,
      last_error: null,
      lease_id: null,
      page_digest: 'known',
      due: true,
    })
    expect(user.authorized_at > dead.authorized_at).toBe(true)
    expect(await openSealed(user.refresh_token)).not.toBe(await openSealed(dead.refresh_token))
  })

  test('an answer with another state is passed over', async () => {
    const { running, address } = await startConnect()
    const callback = new URL(await agree(address, 13))
    const forged = new URL(callback)
    forged.searchParams.set('state', 'guessed')
    expect((await fetch(forged)).status).toBe(400)
    await running.says(/(another state)/)
    expect((await fetch(callback)).status).toBe(200)
    expect((await running.ended).code).toBe(0)
  })

  test('a refusal ends it', async () => {
    const { running, address } = await startConnect()
    await fetch(await agree(address, 14, '&decision=cancel'))
    const { code, stderr } = await running.ended
    expect(code).toBe(1)
    expect(stderr).toContain('declined')
  })

  test('stores the 429 that it meets, for everybody, and does not ask a second time', async () => {
    const SPOTIFY_CLIENT_ID = `quota-${crypto.randomUUID()}`
    const { running, address } = await startConnect({ SPOTIFY_CLIENT_ID })
    spotify.scriptFault({ fault: 'quota_exceeded', endpoint: 'me' })
    const page = await fetch(await agree(address, 16))
    expect({ status: page.status, quota: (await page.text()).includes('quota_exceeded') }).toEqual({
      status: 502,
      quota: true,
    })
    const { code, stderr } = await running.ended
    expect(code).toBe(1)
    expect(stderr).toContain('quota_exceeded')
    expect(await readLanes(SPOTIFY_CLIENT_ID)).toEqual([
      { lane: 'accounts', used: 1, paused: null },
      { lane: 'enrichment', used: 0, paused: null },
      { lane: 'polling', used: 1, paused: true },
    ])
    const late = await startConnect({ SPOTIFY_CLIENT_ID })
    await fetch(await agree(late.address, 16))
    expect((await late.running.ended).stderr).toContain('Nothing was asked')
  })

  test('a code that was used already is refused', async () => {
    const { running, address } = await startConnect()
    const callback = new URL(await agree(address, 15))
    const redirect_uri = new URL(address).searchParams.get('redirect_uri') ?? ''
    const body = {
      grant_type: 'authorization_code',
      code: callback.searchParams.get('code') ?? '',
      redirect_uri,
    }
    await fetch(`${spotify.url}/api/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('cli-test:x')}` },
      body: new URLSearchParams(body),
    })
    const page = await fetch(callback)
    expect(page.status).toBe(502)
    const { code, stderr } = await running.ended
    expect(code).toBe(1)
    expect(stderr).toContain('A code works once')
    expect(stderr).not.toContain(body.code)
  })

  test('nobody is waited for longer than asked', async () => {
    const { running } = await startConnect({}, '--timeout', '1')
    const { code, stderr } = await running.ended
    expect(code).toBe(1)
    expect(stderr).toContain('within 1 second')
  })

  test('a port that is taken is told', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { code, stderr } = await songswap(['users', 'connect', '--port', String(port)])
    server.close()
    expect(code).toBe(1)
    expect(stderr).toContain(`Port ${port}`)
    expect(stderr).toContain('--port')
  })
})

describe('users list, pause and resume', () => {
  test('a paused user is not due, a resumed one is due now', async () => {
    const id = await addUser(20)
    const paused = await songswap(['users', 'pause', String(id), '--reason', 'moving house'])
    expect(paused.code, paused.stderr).toBe(0)
    expect(await readUser(id)).toMatchObject({ status: 'paused', status_reason: 'moving house', due: false })
    const { stdout } = await songswap(['users', 'list'])
    expect(stdout).toContain(`user ${id}: paused since`)
    expect(stdout).toContain('moving house')
    const resumed = await songswap(['users', 'resume', 'listener-20', '--json'])
    expect(JSON.parse(resumed.stdout)).toMatchObject({ id, before: 'paused', status: 'active' })
    expect(await readUser(id)).toMatchObject({ status: 'active', status_reason: null, due: true })
  })

  test('an unknown user is told', async () => {
    for (const user of ['99999', 'nobody', '99999999999999999999999999']) {
      const { code, stderr } = await songswap(['users', 'pause', user])
      expect(code).toBe(1)
      expect(stderr).toContain(`no user "${user}"`)
      expect(stderr).toContain('songswap users list')
    }
  })

  test('the table fits 80 columns and shows no secret', async () => {
    const { code, stdout } = await songswap(['users', 'list'])
    expect(code).toBe(0)
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(stdout).toContain('listener-1')
    const json = await songswap(['users', 'list', '--json'])
    expect(JSON.parse(json.stdout)).toContainEqual(
      expect.objectContaining({ spotifyId: 'listener-1', status: 'active', consentDaysLeft: null }),
    )
    expect(json.stdout).not.toMatch(/token/i)
  })

  test('a reader that closes the pipe early is no fault', async () => {
    const program = fileURLToPath(new URL('../../cli/songswap.ts', import.meta.url))
    const child = spawn(process.execPath, [program, 'users', 'list', '--json'], {
      env: { ...process.env, ...env },
    })
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', (text) => {
      stderr += text
    })
    const [code] = await once(child, 'close')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe('status', () => {
  test('shows topics, groups, plays, users, gaps and the budget', async () => {
    const id = await addUser(21)
    await postgres.query(
      `insert into plays (user_id, played_at, track_id, source, page_partition, page_offset)
       values ($1, '2026-11-24T08:00:00.123Z', 'a', 'poll', 0, 0), ($1 + 1, '2026-11-24T08:00:01Z', 'b', 'poll', 0, 0)`,
      [id],
    )
    await postgres.query(
      `insert into gaps (user_id, after, before) values ($1, now() - interval '2 h', now() - interval '1 h')`,
      [id],
    )
    const { kafka } = await stream.openKafka()
    await kafka.publishBytes(stream.topology.deadLetters.name, [{ key: 'a', value: Buffer.from('x') }])
    const { stdout, stderr } = await songswap(['status', '--json'])
    const report = JSON.parse(stdout)
    expect(stderr).toBe('')
    expect(report.unreadable).toEqual([])
    expect(report.plays).toEqual({ count: 2, exact: true, newestPlayedAt: '2026-11-24T08:00:01.000Z' })
    expect(report.gaps).toEqual({ open: 1, users: 1 })
    expect(report.deadLetters).toEqual({ records: 1, open: 1 })
    expect(report.budget).toMatchObject({ dailyRequests: 600, pauses: [] })
    // Adding or connecting a user has cost two requests.
    expect(report.budget.left).toBeLessThan(600)
    expect(report.topics.map((t: { partitions: unknown[] }) => t.partitions.length)).toEqual([12, 6, 6, 1, 3])
    expect(report.users.byStatus.active).toBeGreaterThan(0)
  })

  test('a consumer with members is alive, one without is down, and that is the exit code', async () => {
    const { kafka } = await stream.openKafka()
    const { groups, metadataWanted } = stream.topology
    await kafka.consume({ group: groups.enricher, topic: metadataWanted, handler: () => async () => [] })
    const states = await until(async () => {
      const { code, stdout } = await songswap(['status', '--json'])
      expect(code).toBe(1)
      const services: { name: string; state: string }[] = JSON.parse(stdout).services
      const found = Object.fromEntries(services.map((s) => [s.name, s.state]))
      return found.enricher === 'alive' ? found : null
    }, 'the enricher is alive')
    expect(states).toMatchObject({ archiver: 'down', loader: 'down', enricher: 'alive', alerter: 'down' })
  })

  test('with every service alive the exit code is 0', async () => {
    const { kafka } = await stream.openKafka()
    const { groups, recentlyPlayed, metadata, metadataWanted, events } = stream.topology
    const handler = () => async () => []
    await kafka.consume({ group: groups.archiver, topic: recentlyPlayed, handler })
    await kafka.consume({ group: groups.loaderHistory, topic: recentlyPlayed, handler })
    await kafka.consume({ group: groups.loaderMetadata, topic: metadata, handler })
    await kafka.consume({ group: groups.enricher, topic: metadataWanted, handler })
    await kafka.consume({ group: groups.alerter, topic: events, handler })
    // The status recognises a poller by its sessions.
    const url = new Secret(env.DATABASE_URL ?? '')
    const poller = openPostgres({ url, connections: 1, name: 'poller', log: stream.log })
    const healthy = await until(async () => {
      await poller.query('select 1')
      const { code, stdout } = await songswap(['status', '--json'])
      return code === 0 ? JSON.parse(stdout) : null
    }, 'all is well')
    await poller.close()
    expect(healthy).toMatchObject({ healthy: true, problems: [] })
    expect(healthy.services.map((s: { state: string }) => s.state)).toEqual(Array(5).fill('alive'))
    expect(healthy.services[0].detail).toContain('1 session')
  })

  test('alerts that are not delivered have to be mended, and nothing is posted to find out', async () => {
    const discord = await startDiscordSimulator()
    onTestFinished(() => discord.stop())
    const status = async () => {
      const { stdout } = await runSongswap(['status', '--json'], {
        ...env,
        DISCORD_WEBHOOK_URL: discord.webhookUrl,
      })
      return JSON.parse(stdout)
    }
    expect((await status()).alerts).toMatchObject({ state: 'posted' })
    discord.deleteWebhook()
    expect((await status()).problems).toContain('alerts are not delivered: the webhook is dead (404)')
    discord.restoreWebhook()
    await postgres.query(`insert into alert_delivery (webhook, detail) values ('w', '400 needs a tag')`)
    onTestFinished(async () => void (await postgres.query('truncate alert_delivery')))
    expect(await status()).toMatchObject({ healthy: false, alerts: { state: 'refused' } })
    expect(discord.answers).toEqual({ 'GET 200': 1, 'GET 404': 1 })
  })

  test('without Kafka the parts of Postgres are shown all the same', async () => {
    const { code, stdout, stderr } = await runSongswap(['status'], { ...env, KAFKA_BROKERS: '127.0.0.1:1' })
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
    expect(stdout).toMatch(/plays +\d+ stored/)
    expect(stdout).toMatch(/unreadable +topics, groups: Kafka at 127\.0\.0\.1:1/)
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test('without Postgres the parts of Kafka are shown all the same', async () => {
    const DATABASE_URL = 'postgres://u:hunter2@127.0.0.1:1/x'
    const { code, stdout } = await runSongswap(['status'], { ...env, DATABASE_URL })
    expect(code).toBe(1)
    expect(stdout).toContain('spotify.recently-played')
    expect(stdout).toMatch(/plays +unknown/)
    expect(stdout).not.toContain('hunter2')
  })

  test('a part that hangs is named, the rest is shown', async () => {
    const report = await postgres.transaction(async (sql) => {
      await sql.query('lock table gaps in access exclusive mode')
      return JSON.parse((await songswap(['status', '--json'])).stdout)
    })
    expect(report.unreadable).toEqual([{ part: 'gaps', error: 'no answer within 5 seconds' }])
    expect(report).toMatchObject({ gaps: null, plays: { exact: true }, healthy: false })
  })

  test('topics that are not there are named', async () => {
    const { code, stdout } = await runSongswap(['status', '--json'], { ...env, KAFKA_PREFIX: 'nowhere.' })
    expect(code).toBe(1)
    const report = JSON.parse(stdout)
    expect(report.problems).toContain('topic nowhere.ops.events is missing: npm run migrate')
    expect(report).toMatchObject({ unreadable: [], deadLetters: null })
  })

  test('a database that is not migrated is told so', async () => {
    const url = new URL(env.DATABASE_URL ?? '')
    url.pathname = '/postgres'
    const { stdout } = await runSongswap(['status', '--json'], { ...env, DATABASE_URL: url.href })
    expect(JSON.parse(stdout).unreadable).toEqual([
      {
        part: 'users, plays, gaps, decided, polling, budget',
        error: expect.stringContaining('npm run migrate'),
      },
    ])
    const list = await runSongswap(['users', 'list'], { ...env, DATABASE_URL: url.href })
    expect(list.code).toBe(1)
    expect(list.stderr).toContain('npm run migrate')
  })

  test('a Kafka that accepts and never answers is given up after seconds', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const begun = Date.now()
    const { stdout } = await runSongswap(['status', '--json'], { ...env, KAFKA_BROKERS: `127.0.0.1:${port}` })
    silent.close()
    expect(JSON.parse(stdout).problems).toContain(
      `topics, groups: Kafka at 127.0.0.1:${port}: no answer within 5 seconds`,
    )
    expect(Date.now() - begun).toBeLessThan(20_000)
  })
})

describe('the program', () => {
  const launcher = fileURLToPath(new URL('../../cli/songswap.mjs', import.meta.url))

  test.each([
    [['--help'], 0],
    [['users', '--help'], 0],
    [['users', 'connect', '--help'], 0],
    [['users', 'add', '--help'], 0],
    [['users', 'list', '--help'], 0],
    [['users', 'pause', '--help'], 0],
    [['users', 'resume', '--help'], 0],
    [['status', '--help'], 0],
    [[], 2],
    [['nonsense'], 2],
    [['users', 'pause'], 2],
    [['users', 'connect', '--port', 'x'], 2],
    [['status', '--nonsense'], 2],
  ])('songswap %j ends with %d and helps within 80 columns', async (args, expected) => {
    const { code, stdout, stderr } = await songswap(args)
    expect(code, stderr).toBe(expected)
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
    if (expected === 0) expect(stdout).toContain('Examples:')
    else expect(stderr).toMatch(/help|Examples:/)
  })

  test('missing settings are told all at once', async () => {
    const { code, stderr } = await runSongswap(['users', 'add'], {
      ...env,
      SPOTIFY_CLIENT_ID: '',
      SPOTIFY_CLIENT_SECRET: '',
      TOKEN_ENCRYPTION_KEYS: 'nonsense',
    })
    expect(code).toBe(2)
    for (const name of ['SPOTIFY_CLIENT_ID', 'SPOTIFY_CLIENT_SECRET', 'TOKEN_ENCRYPTION_KEYS']) {
      expect(stderr).toContain(`${name}:`)
    }
    expect(stderr).not.toContain('nonsense')
  })

  test("settings come from the stack's file where the environment has none", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'songswap-cli-'))
    const lines = Object.entries({ ...env, KAFKA_BROKERS: '127.0.0.1:1' }).map(([k, v]) => `${k}='${v}'`)
    await writeFile(join(folder, 'infra.env'), lines.join('\n'))
    const brokers = env.KAFKA_BROKERS ?? ''
    const own = { STACK_DATA_DIR: folder, KAFKA_BROKERS: brokers }
    const { stdout } = await spawnSongswap(['status', '--json'], own).ended
    await rm(folder, { recursive: true })
    expect(JSON.parse(stdout)).toMatchObject({ unreadable: [], plays: { exact: true } })
  })

  test('the launcher hands over arguments, exit code and signals', async () => {
    const run = (args: string[]) =>
      spawn(process.execPath, [launcher, ...args], { env: { ...process.env, ...env } })
    const [code] = await once(run(['nonsense']), 'close')
    expect(code).toBe(2)
    const waiting = run(['users', 'connect', '--port', '0'])
    await once(waiting.stdout, 'data')
    waiting.kill('SIGTERM')
    const [ended, signal] = await once(waiting, 'close')
    expect(ended ?? signal).toBe('SIGTERM')
  })
})
