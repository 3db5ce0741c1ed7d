import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { readArchive } from '../../lib/archive/read.ts'
import { parseSummary } from '../../lib/archive/summary.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { S3 } from '../../lib/s3.ts'
import { Secret } from '../../lib/secret.ts'
import type { TokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { createTokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { claimRefresh, storeRefreshed } from '../../lib/spotify/token-store.ts'
import type { AuditReport } from '../../operations/audit/report.ts'
import { archiveKeys, openTestS3 } from '../support/archive.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { item, localFile, pageBody } from '../support/pages.ts'
import { openS3Gate } from '../support/s3-faults.ts'
import type { InProcessService } from '../support/service.ts'
import { startService } from '../support/service.ts'
import { runSongswap, spawnSongswap, startSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

let stream: Stream
let postgres: Postgres
let kafka: Kafka
let s3: S3
const minute = 60_000
const start = Date.now() - 3 * 60 * minute
const pagesOfUser = 5

beforeAll(async () => {
  stream = await createStream()
  postgres = stream.openPostgres(4)
  kafka = (await stream.openKafka()).kafka
  s3 = openTestS3(stream.env)
  for (const spotifyId of ['alice', 'bob', 'carol']) {
    await postgres.query(
      `with u as (insert into users (spotify_id) values ($1) returning id),
         t as (insert into spotify_tokens (user_id, refresh_token) select id, 'sealed' from u)
       insert into poll_state (user_id) select id from u`,
      [spotifyId],
    )
  }
  for (let i = 0; i < pagesOfUser; i++) for (const user of [1, 2]) await publish(user, i)
})
afterAll(async () => {
  await s3?.close()
  await stream?.release()
})

/** Page `i`: a new play, the one before it, a local file, and one item that is rejected. */
async function publish(user: number, i: number): Promise<void> {
  const at = start + i * minute
  const context = { type: 'album', uri: `spotify:album:${i}` }
  const plays = [
    item(at, `T${i}`, { context }),
    item(at - minute, `T${i - 1}`, { context }),
    { ...item(at + 1, 'x'), track: localFile(`L${i}`) },
    { track: item(at, 'R').track },
  ]
  const page = { endpoint: 'recently-played', subject: String(user), source: 'poll', status: 200 }
  const value = { ...page, fetchedAt: Date.now(), body: pageBody(plays) }
  await kafka.publish(stream.topology.recentlyPlayed, [{ key: String(user), value }])
}

async function caughtUp(...groups: string[]): Promise<void> {
  const admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  for (const group of groups) {
    await until(async () => {
      const { partitions } = await admin.readGroupLag(group, [stream.topology.recentlyPlayed.name])
      return partitions.every((p) => p.lag === 0)
    }, `${group} has caught up`)
  }
  await admin.close()
}

const env = () => ({ ...stream.env, LOG_LEVEL: 'info', ARCHIVE_OBJECT_AGE_SECONDS: '1' })
const account = (...args: string[]) => runSongswap(['account', ...args], stream.env)
const rows = async <T = Record<string, unknown>>(sql: string): Promise<T[]> =>
  (await postgres.query(sql)).rows as T[]

const contents = async (user: number): Promise<unknown> => {
  const plays = await rows(
    `select (to_jsonb(p) - '{ingested_at,page_incarnation}'::text[])::text as row from plays p where user_id = ${user} order by 1`,
  )
  const catalogue = ['tracks', 'albums', 'artists', 'track_artists'].map((t) =>
    rows(
      `select (to_jsonb(t) - '{fetched_at,features_status,features_requested_at,features_requests,metadata_status,metadata_requested_at}'::text[])::text as row from ${t} t order by 1`,
    ),
  )
  return [plays, ...(await Promise.all(catalogue))]
}

async function audit(): Promise<AuditReport> {
  return JSON.parse((await runSongswap(['audit', '--json'], stream.env)).stdout)
}

test('what there is: pages of two users that the live services have dealt with', async () => {
  const services = await Promise.all(
    (['loader', 'archiver'] as const).map((name) => startService(name, env())),
  )
  await caughtUp(stream.topology.groups.loaderHistory, stream.topology.groups.archiver)
  await Promise.all(services.map((s: InProcessService) => s.stop()))
  expect(await rows('select from plays')).toHaveLength(2 * (2 * pagesOfUser + 1))
}, 120_000)

describe('songswap account export', () => {
  test('is what restore --from-file reads: the same rows come back', async () => {
    const { code, stdout, stderr } = await account('export', 'alice')
    expect(code, stderr).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(2 * pagesOfUser + 1)
    expect(new Set(lines.map((l) => JSON.parse(l).userId))).toEqual(new Set(['1']))

    const before = await contents(1)
    await postgres.query(`delete from plays where user_id = 1; delete from tracks; delete from albums;
      delete from artists; delete from track_artists`)
    const dry = await runSongswap(['restore', '--from-file', '-'], stream.env, stdout)
    expect(dry.stdout).toContain(`Load ${lines.length} plays with: --execute`)
    expect(await rows('select from plays where user_id = 1')).toEqual([])
    const done = await runSongswap(['restore', '--from-file', '-', '--execute'], stream.env, stdout)
    expect(done.code, done.stderr).toBe(0)
    expect(await contents(1)).toEqual(before)
    expect(await rows('select from gaps')).toEqual([])

    const moved = await runSongswap(
      ['restore', '--from-file', '-', '--as', '3', '--execute', '--json'],
      stream.env,
      stdout,
    )
    expect(JSON.parse(moved.stdout)).toMatchObject({ stored: lines.length, rejected: 0, dropped: 0 })
    await postgres.query('delete from plays where user_id = 3')
  })

  test('old facts stay old: a newer form elsewhere is not turned back', async () => {
    const { stdout } = await account('export', 'alice')
    const id = JSON.parse(stdout.split('\n')[0] ?? '').track.id
    const fetchedAt = `(select fetched_at from tracks where id = '${id}')`
    const before = await rows(`select ${fetchedAt}::text as at`)
    await rows(`update plays set ingested_at = now() where user_id = 1`)
    const again = await account('export', 'alice')
    await rows(
      `update tracks set name = 'newer', fetched_at = fetched_at + interval '1 min' where id = '${id}'`,
    )
    const restored = await runSongswap(['restore', '--from-file', '-', '--execute'], stream.env, again.stdout)
    expect(restored.code, restored.stderr).toBe(0)
    expect(
      await rows(`select name, (fetched_at - interval '1 min')::text as at from tracks where id = '${id}'`),
    ).toEqual([{ name: 'newer', ...before[0] }])
  })

  test('lines that are no plays are named and left out', async () => {
    const [good = ''] = (await account('export', '1')).stdout.split('\n')
    const input = `${good}\n{"userId":"1"}\nhello\n`
    const ended = await runSongswap(['restore', '--from-file', '-', '--execute'], stream.env, input)
    expect(ended.code).toBe(1)
    expect(ended.stderr).toMatch(/Line 2: playedAt: /)
    expect(ended.stderr).toContain('Line 3: is no JSON')
    const missing = await runSongswap(['restore', '--from-file', '/nowhere'], stream.env)
    expect(missing.code).toBe(1)
    expect(missing.stderr).toContain('The file cannot be read')
  })
})

interface ReceiptJson {
  tables: Record<string, number>
  notes: number
  archive: { read: number; passed: number; objects: number; records: number; confirmed: boolean }
  topics: { held: { topic: string; records: number; until: string | null }[]; unarchived: number }
  polling: boolean
}

async function erase(args: string[], exitCode = 0): Promise<ReceiptJson> {
  const { code, stdout, stderr } = await account('erase', ...args, '--json')
  expect(code, stderr).toBe(exitCode)
  return JSON.parse(stdout)
}

describe('songswap account erase', () => {
  /** Keys of the rows of an object, and its metadata. */
  async function readObject(key: string) {
    const owners: string[] = []
    for await (const row of (await readArchive(await s3.get(key))).rows) owners.push(`${row.key}`)
    return { owners, summary: parseSummary((await s3.head(key))?.metadata ?? {}) }
  }

  test('without --execute says what there is, and changes nothing', async () => {
    const found = await erase(['alice'])
    expect(found.tables).toMatchObject({ plays: 2 * pagesOfUser + 1, users: 1, spotify_tokens: 1 })
    expect(found.archive).toMatchObject({ records: pagesOfUser })
    expect(await rows('select from users')).toHaveLength(3)
    expect((await account('erase', 'nobody')).code).toBe(1)
  })

  test('an id that nobody had is not marked: it may be given to somebody', async () => {
    expect((await account('erase', '4', '--execute')).code).toBe(1)
    expect(await rows('select from erased_users')).toEqual([])
  })

  test('no table that holds something of users is forgotten', async () => {
    const named = await rows<{ name: string }>(
      `select distinct table_name as name from information_schema.columns
       join information_schema.tables using (table_schema, table_name)
       where table_schema = current_schema() and table_type = 'BASE TABLE' and column_name like 'user%'`,
    )
    const { tables } = await erase(['bob'])
    for (const { name } of named) {
      if (name !== 'erased_users') expect(Object.keys(tables)).toContain(name)
    }
    expect(Object.keys(tables)).toEqual(expect.arrayContaining(['users', 'incidents', 'reruns']))
  })

  test('removes the user from every table and object, and says what remains until when', async () => {
    const keys = await archiveKeys(s3, stream.env.S3_PREFIX ?? '')
    const before = await contents(2)
    const receipt = await erase(['alice', '--execute'])
    expect(receipt.tables).toMatchObject({ plays: 2 * pagesOfUser + 1, users: 1, rejected_items: 1 })
    expect(receipt.archive.records).toBe(pagesOfUser)
    const [pages] = receipt.topics.held
    expect(pages?.records).toBe(pagesOfUser)
    const days = (Date.parse(pages?.until ?? '') - Date.now()) / 86_400_000
    expect(days).toBeGreaterThan(36)
    expect(days).toBeLessThan(38)

    for (const table of ['plays', 'gaps', 'rejected_items', 'spotify_tokens', 'poll_state']) {
      expect(await rows(`select from ${table} where user_id = 1`)).toEqual([])
    }
    expect(await contents(2)).toEqual(before)
    expect(await archiveKeys(s3, stream.env.S3_PREFIX ?? '')).toEqual(keys)
    const restored = await runSongswap(['restore', '--json', '--execute'], stream.env)
    expect(JSON.parse(restored.stdout).read).toBe(pagesOfUser)
    let erased = 0
    for (const key of keys) {
      const { owners, summary } = await readObject(key)
      expect(owners).not.toContain('1')
      expect(summary?.recordCount).toBe(owners.length)
      erased += summary?.erasedCount ?? 0
    }
    expect(erased).toBe(pagesOfUser)
  })

  test('runs that were made for the user go, and notes on their dead letters', async () => {
    const letters = await stream.readTopic(stream.topology.deadLetters.name)
    const placeOf = (user: number) => {
      const letter = letters.find((l) => l.key?.toString() === String(user))
      return `${letter?.partition}, ${letter?.offset}`
    }
    const decide = (place: string, note: string) =>
      rows(`insert into dead_letter_decisions (partition, "offset", died_at, decision, note)
            values (${place}, now(), 'discarded', '${note}')`)
    await decide(placeOf(1), 'she asked for it')
    await decide(placeOf(2), 'stays')
    await decide('2, 1000000', 'user 1 had two accounts')
    await decide('2, 1000001', 'user 12 is somebody else')
    const run = (user: string) =>
      rows(`insert into reruns (command, subject, plan, tally)
            values ('restore', 'archive', '{"choice":{"user":${user}}}', '{"removedExamples":["0/1: hers"]}')`)
    await run('1')
    await run('2')
    expect(await erase(['1'])).toMatchObject({ notes: 2, tables: { reruns: 1 } })
    expect(await erase(['1', '--execute'])).toMatchObject({ notes: 2, tables: { reruns: 1 } })
    expect(await rows(`select note from dead_letter_decisions where note is not null order by 1`)).toEqual([
      { note: 'stays' },
      { note: 'user 12 is somebody else' },
    ])
    const kept = await rows(
      `select plan -> 'choice' -> 'user' as user, tally -> 'removedExamples' as removed from reruns`,
    )
    expect(kept).toContainEqual({ user: 2, removed: [] })
    expect(kept.map(({ user }) => user)).not.toContain(1)
    await rows(`delete from reruns where plan = '{"choice":{"user":2}}'`)
  })

  test('again changes nothing and succeeds; the words are a receipt', async () => {
    const { code, stdout } = await account('erase', '1', '--execute')
    expect(code).toBe(0)
    expect(stdout).toContain('Receipt: user 1 was erased on ')
    expect(stdout).toMatch(/REMAINS IN +RECORDS +UNTIL AT THE LATEST/)
    for (const line of stdout.split('\n').filter((l) => l.includes('  '))) {
      expect(line.length).toBeLessThanOrEqual(80)
    }
  })

  test('what the topic still holds is not loaded again, by no replay and no live loader; the audit adds up', async () => {
    await publish(1, 7)
    const loader = await startService('loader', env())
    await caughtUp(stream.topology.groups.loaderHistory)
    expect(await loader.metric('songswap_plays_total', { result: 'dropped' })).toBe(4)
    await loader.stop()
    const replay = await runSongswap(['replay', 'loader.history', '--execute', '--json'], stream.env)
    expect(JSON.parse(replay.stdout)).toMatchObject({ passedOver: pagesOfUser + 1 })
    expect(await rows('select from plays where user_id = 1')).toEqual([])
    const { account: counted, addsUp, archive } = await audit()
    expect(counted.dropped).toMatchObject({ erased_user: (pagesOfUser + 1) * 4 })
    expect({ addsUp, archive }).toMatchObject({ addsUp: true })
  }, 120_000)

  test('what had not reached the archive is named, and removed by the next run', async () => {
    expect((await erase(['1', '--execute'], 1)).topics.unarchived).toBe(1)
    // An archiver that starts again from the earliest offset finds its objects in order.
    const archiver = await startService('archiver', env())
    await caughtUp(stream.topology.groups.archiver)
    await archiver.stop()
    const receipt = await erase(['1', '--execute'])
    expect(receipt.archive.records).toBe(1)
    expect(receipt.topics.unarchived).toBe(0)
    const { addsUp } = await audit()
    expect(addsUp).toBe(true)
  }, 120_000)

  test('an archiver that reads again what was erased neither stops nor puts it back', async () => {
    const keys = await archiveKeys(s3, stream.env.S3_PREFIX ?? '')
    const replayed = await runSongswap(['replay', 'archiver', '--execute', '--json'], stream.env)
    expect(replayed.code, replayed.stderr).toBe(0)
    expect(JSON.parse(replayed.stdout)).toMatchObject({ finished: true, objectsPut: 0 })
    expect(await archiveKeys(s3, stream.env.S3_PREFIX ?? '')).toEqual(keys)
  })

  test('what reaches the archive while it is being read is removed as well', async () => {
    const [dave] = await rows<{ id: number }>(
      `with u as (insert into users (spotify_id) values ('dave') returning id)
       insert into poll_state (user_id, leased_until) select id, now() + interval '1 min' from u
       returning user_id as id`,
    )
    const id = dave?.id ?? 0
    const archive = async () => {
      const archiver = await startService('archiver', env())
      await caughtUp(stream.topology.groups.archiver)
      await archiver.stop()
    }
    await publish(id, 1)
    await archive()
    await publish(id, 2)
    const gate = await openS3Gate(stream.env.S3_ENDPOINT ?? '')
    onTestFinished(() => gate.close())
    let isFirst = true
    gate.onAnswer = async (method, path) => {
      if (method !== 'GET' || !path.includes('list-type=2') || !isFirst) return
      isFirst = false
      // The store has listed the archive, and the eraser does not have the answer yet.
      await archive()
    }
    const gated = { ...stream.env, S3_ENDPOINT: gate.endpoint }
    const ended = await runSongswap(['account', 'erase', 'dave', '--execute', '--json'], gated)
    expect(ended.code, ended.stderr).toBe(1)
    expect(ended.stderr).toContain(`If it is cut short: songswap account erase ${id} --execute`)
    const first: ReceiptJson = JSON.parse(ended.stdout)
    // A later listing shows the new object.
    expect(first).toMatchObject({ archive: { records: 2 }, topics: { unarchived: 0 }, polling: true })
    const second = await erase([String(id), '--execute'])
    expect(second).toMatchObject({ archive: { records: 0 }, topics: { unarchived: 0 }, polling: false })
    expect(await erase([String(id), '--execute'])).toMatchObject({ archive: { records: 0 } })
  }, 120_000)

  test('killed in the middle, it goes on by the id', async () => {
    const [erin] = await rows<{ id: number }>(`insert into users (spotify_id) values ('erin') returning id`)
    const id = erin?.id ?? 0
    await publish(id, 3)
    const archiver = await startService('archiver', env())
    await caughtUp(stream.topology.groups.archiver)
    await archiver.stop()
    const gate = await openS3Gate(stream.env.S3_ENDPOINT ?? '')
    onTestFinished(() => gate.close())
    gate.onRequest = (method) => (method === 'PUT' ? { type: 'hang' } : null)
    const gated = { ...stream.env, S3_ENDPOINT: gate.endpoint }
    const killed = spawnSongswap(['account', 'erase', 'erin', '--execute'], gated)
    await killed.says(/(Erasing user)/)
    await until(async () => (await rows(`select from users where id = ${id}`)).length === 0, 'rows are gone')
    killed.kill()
    await killed.ended
    expect((await account('erase', 'erin')).stderr).toContain('go by their id')
    expect(await erase([String(id), '--execute'])).toMatchObject({ archive: { records: 1 } })
  }, 120_000)

  test('waits for the loader that has a page of the user in hand, and removes what it stores', async () => {
    const [frank] = await rows<{ id: number }>(`insert into users (spotify_id) values ('frank') returning id`)
    const id = frank?.id ?? 0
    const erasing = await postgres.transaction(async (sql) => {
      // Like the loader: it checks for erased users, and stores afterwards.
      await sql.query('select from erased_users where user_id = $1', [id])
      const running = startSongswap(['account', 'erase', 'frank', '--execute', '--json'], stream.env)
      await until(
        async () =>
          (await rows(`select from pg_locks where not granted and relation = 'erased_users'::regclass`))
            .length > 0,
        'the eraser waits',
      )
      await sql.query(
        `insert into plays (user_id, played_at, track_id, source, page_partition, page_offset)
         values ($1, now(), 'a', 'poll', 0, 0)`,
        [id],
      )
      return running
    })
    const { code, stdout, stderr } = await erasing.ended
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ tables: { plays: 1, users: 1 } })
    expect(await rows(`select from plays where user_id = ${id}`)).toEqual([])
  })

  test('loaders go on while rows are removed', async () => {
    const [hal] = await rows<{ id: number }>(`insert into users (spotify_id) values ('hal') returning id`)
    const id = hal?.id ?? 0
    await rows(`insert into plays (user_id, played_at, track_id, source, page_partition, page_offset)
                values (${id}, now(), 'a', 'poll', 0, 0)`)
    const running = await postgres.transaction(async (sql) => {
      await sql.query('select from plays where user_id = $1 for update', [id])
      const erasing = startSongswap(['account', 'erase', 'hal', '--execute', '--json'], stream.env)
      await until(
        async () =>
          (
            await rows(
              `select from pg_stat_activity where wait_event_type = 'Lock' and query like 'delete from plays%'`,
            )
          ).length > 0,
        'the eraser waits for a row',
      )
      const marks = await postgres.transaction(async (loader) => {
        await loader.query(`set local lock_timeout = '5s'`)
        return loader.query('select from erased_users where user_id = $1', [id])
      })
      expect(marks.rowCount).toBe(1)
      return erasing
    })
    const { code, stdout, stderr } = await running.ended
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ tables: { plays: 1, users: 1 } })
  })

  test('a lost database does not bring them back, not even from the topic', async () => {
    await rows('delete from erased_users; delete from plays')
    const restored = await runSongswap(['restore', '--execute'], stream.env)
    expect(restored.code, restored.stderr).toBe(0)
    expect(restored.stderr).not.toContain('were erased')
    expect(await rows('select user_id from erased_users where user_id = 1')).toHaveLength(1)
    const replayed = await runSongswap(['replay', 'loader.history', '--execute'], stream.env)
    expect(replayed.code, replayed.stderr).toBe(0)
    expect(await rows('select from plays where user_id = 1')).toEqual([])
    expect(await rows('select from plays where user_id = 2')).not.toEqual([])
    // An old export of the user does not restore them either.
    await rows('delete from erased_users')
    const line = JSON.stringify({
      ...{
        userId: '1',
        playedAt: '2026-01-01T00:00:00.000Z',
        track: { id: 'kept', type: 'track' },
        context: null,
      },
      ...{ source: 'poll', page: { partition: 0, offset: 0 }, ingestedAt: '2026-01-01T00:00:01.000Z' },
    })
    const loaded = await runSongswap(['restore', '--from-file', '-', '--execute'], stream.env, line)
    expect(loaded.code, loaded.stderr).toBe(0)
    expect(await rows('select from plays where user_id = 1')).toEqual([])
    // The id is not used again either.
    await rows('alter sequence users_id_seq restart')
    await runSongswap(['restore', '--topic', 'spotify.metadata', '--execute'], stream.env)
    const [next] = await rows<{ id: number }>(`insert into users (spotify_id) values ('gina') returning id`)
    const [last] = await rows<{ id: number }>('select max(user_id) as id from erased_users')
    expect(next?.id).toBeGreaterThan(last?.id ?? Number.POSITIVE_INFINITY)
  })

  test('a dump from before the erasure is told of', async () => {
    await rows(`insert into users (id, spotify_id) overriding system value values (1, 'alice')`)
    const { stderr } = await runSongswap(['restore', '--execute'], stream.env)
    expect(stderr).toMatch(/These were erased[\s\S]*songswap account erase 1 --execute/)
    await erase(['alice', '--execute'])
  })

  test('the id of an erased user is never taken for the Spotify id of somebody else', async () => {
    await rows(`insert into users (spotify_id) values ('1')`)
    expect(await erase(['1'])).toMatchObject({ user: { id: 1, spotifyId: null }, tables: { users: 0 } })
  })

  test('a replay of the archiver that puts pages of erased users back says so', async () => {
    const [key = ''] = await archiveKeys(s3, stream.env.S3_PREFIX ?? '')
    await s3.delete(key)
    const { code, stderr } = await runSongswap(['replay', 'archiver', '--execute'], stream.env)
    expect(code, stderr).toBe(0)
    expect(stderr).toContain('songswap account erase 1 --execute')
    await erase(['1', '--execute'])
  })
})

describe('songswap account rotate-keys', () => {
  const key = (kid: string) => ({ kid, key: new Secret(Buffer.alloc(32, kid).toString('base64url')) })
  const ring = (...kids: string[]) => kids.map((kid) => `${kid}:${key(kid).key.reveal()}`).join(',')
  const crypto = (...kids: string[]): TokenCrypto => createTokenCrypto(kids.map(key))
  const rotate = (keys: string, ...args: string[]) =>
    runSongswap(['account', 'rotate-keys', ...args, '--json'], {
      ...stream.env,
      TOKEN_ENCRYPTION_KEYS: keys,
    })
  const tokens = (user: number) =>
    rows<{ refresh_token: string; access_token: string | null }>(
      `select refresh_token, access_token from spotify_tokens where user_id = ${user}`,
    )
  async function store(user: number, by: TokenCrypto): Promise<void> {
    await postgres.query(
      'update spotify_tokens set refresh_token = $2, access_token = $3, refreshing_until = null where user_id = $1',
      [user, await by.seal(`refresh ${user}`), user === 2 ? null : await by.seal(`access ${user}`)],
    )
  }

  test('seals all tokens with the first key; afterwards the old one may go', async () => {
    for (const user of [2, 3]) await store(user, crypto('old'))
    const dry = await rotate(ring('new', 'old'))
    expect(JSON.parse(dry.stdout)).toMatchObject({ sealed: 2, current: 0 })
    expect(crypto('new').isCurrent((await tokens(2))[0]?.refresh_token ?? '')).toBe(false)
    const done = await rotate(ring('new', 'old'), '--execute')
    expect(done.code, done.stderr).toBe(0)
    expect(JSON.parse(done.stdout)).toMatchObject({ sealed: 2, current: 0 })
    const [two, three] = [(await tokens(2))[0], (await tokens(3))[0]]
    expect(await crypto('new').open(two?.refresh_token ?? '')).toBe('refresh 2')
    expect(two?.access_token).toBeNull()
    expect(await crypto('new').open(three?.access_token ?? '')).toBe('access 3')
    expect(JSON.parse((await rotate(ring('new'))).stdout)).toMatchObject({ sealed: 0, current: 2 })
  })

  test('leaves a refresh under way alone: what Spotify gives in exchange is stored, and sealed next', async () => {
    for (const user of [2, 3]) await store(user, crypto('old'))
    const claim = await claimRefresh(postgres, 2, 30_000)
    if (!claim) throw new Error('Nobody else refreshes')
    const rotation = rotate(ring('new', 'old'), '--execute')
    await until(
      async () => crypto('new').isCurrent((await tokens(3))[0]?.refresh_token ?? ''),
      'the other user is done',
    )
    const stored = await storeRefreshed(postgres, 2, {
      usedSealed: claim.tokens.refreshSealed,
      refreshSealed: await crypto('old').seal('rotated'),
      accessSealed: await crypto('old').seal('fresh'),
      expiresInMs: 3_600_000,
      scope: null,
    })
    expect(stored).toBe(true)
    const { code, stdout } = await rotation
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ sealed: 2, current: 0, busy: 0 })
    expect(await crypto('new').open((await tokens(2))[0]?.refresh_token ?? '')).toBe('rotated')
  })

  test('killed in the middle, it leaves every token readable, and the next run does the rest', async () => {
    for (const user of [2, 3]) await store(user, crypto('old'))
    await postgres.transaction(async (sql) => {
      await sql.query('select from spotify_tokens where user_id = 3 for update')
      const killed = spawnSongswap(['account', 'rotate-keys', '--execute'], {
        ...stream.env,
        TOKEN_ENCRYPTION_KEYS: ring('new', 'old'),
      })
      await until(
        async () => crypto('new').isCurrent((await tokens(2))[0]?.refresh_token ?? ''),
        'the first user is done',
      )
      killed.kill()
      await killed.ended
    })
    const refresh = async (user: number) =>
      crypto('new', 'old').open((await tokens(user))[0]?.refresh_token ?? '')
    expect([await refresh(2), await refresh(3)]).toEqual(['refresh 2', 'refresh 3'])
    const done = await rotate(ring('new', 'old'), '--execute')
    expect(done.code, done.stderr).toBe(0)
    const { sealed, current } = JSON.parse(done.stdout)
    expect(sealed + current).toBe(2)
    expect(await crypto('new').open((await tokens(3))[0]?.refresh_token ?? '')).toBe('refresh 3')
  })

  test('names tokens whose key is not there, and leaves them', async () => {
    await store(2, crypto('lost'))
    await store(3, crypto('old'))
    const { code, stdout } = await rotate(ring('new', 'old'), '--execute')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      sealed: 1,
      unreadable: [{ userId: 2, reason: expect.stringContaining('sealed with key "lost"') }],
    })
    expect(await crypto('lost').open((await tokens(2))[0]?.refresh_token ?? '')).toBe('refresh 2')
  })
})
