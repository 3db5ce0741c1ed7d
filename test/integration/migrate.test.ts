import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KafkaConfig } from '../../lib/config.ts'
import { kafkaConfig, kafkaEnv, parseEnv, postgresEnv } from '../../lib/config.ts'
import type { Notice } from '../../lib/events.ts'
import { createClient } from '../../lib/kafka/client.ts'
import { openLog } from '../../lib/log.ts'
import { migrateAll } from '../../lib/migrate.ts'
import { migrateDatabase } from '../../lib/migrate-database.ts'
import { openPostgres } from '../../lib/postgres.ts'
import type { Secret } from '../../lib/secret.ts'
import { findInServers } from '../../lib/server-settings/read.ts'
import { watchSettings } from '../../lib/server-settings/watch.ts'
import { openIncidents } from '../../lib/spotify/incidents.ts'
import { allTopics, topology } from '../../lib/topology.ts'
import { until } from '../support/until.ts'
import type { World } from '../support/world.ts'
import { createWorld } from '../support/world.ts'

const log = openLog('test', 'silent')
const worlds: World[] = []

afterAll(async () => {
  for (const world of worlds) await world.release()
})

const entry = join(import.meta.dirname, '..', '..', 'db', 'migrate.ts')

/** Runs the command like `npm run migrate`. */
function runMigrate(env: Record<string, string>): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, ...env } }
    execFile(process.execPath, [entry], options, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    })
  })
}

async function alterTopic(
  kafka: KafkaConfig,
  name: string,
  configEntries: { name: string; value: string }[],
): Promise<void> {
  const admin = createClient({ config: kafka, log, name: 'test' }).admin()
  await admin.connect()
  await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name, configEntries }] })
  await admin.disconnect()
}

/** A world without any migration. */
async function emptyWorld(): Promise<{ world: World; kafka: KafkaConfig; databaseUrl: Secret }> {
  const world = await createWorld()
  worlds.push(world)
  const settings = parseEnv({ ...kafkaEnv, ...postgresEnv }, world.env)
  return { world, kafka: kafkaConfig(settings), databaseUrl: settings.DATABASE_URL }
}

describe('several at once', () => {
  test('on empty servers all succeed, and each thing is made once', async () => {
    const { kafka, databaseUrl } = await emptyWorld()
    const reports = await Promise.all([1, 2, 3].map(() => migrateAll({ kafka, databaseUrl, log })))
    const ran = reports.flatMap((report) => report.migrations)
    expect(new Set(ran).size).toBe(ran.length)
    expect(ran).toContain('0001_contract')
    const again = await migrateAll({ kafka, databaseUrl, log })
    expect(again).toMatchObject({
      migrations: [],
      topics: { created: [], changed: [], differing: [] },
      subjects: [],
    })
  })

  test('a table that is busy is waited for without holding up its readers', async () => {
    const { databaseUrl } = await emptyWorld()
    const busy = new Client({ connectionString: databaseUrl.reveal() })
    await busy.connect()
    await busy.query('begin')
    // The migration creates a table of this name, so it waits for the end of this transaction.
    await busy.query('create table users (id integer)')
    const waits: string[] = []
    const migrating = migrateDatabase({ databaseUrl, log, onWait: (text) => waits.push(text) })
    await until(async () => waits.length > 0, 'the migration waits')
    // A pooler that shares sessions keeps one with an open transaction; a lock of the session would be lost.
    const { rows } = await busy.query(
      `select a.state from pg_locks l join pg_stat_activity a using (pid)
       where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())`,
    )
    expect(rows).toEqual([{ state: 'idle in transaction' }])
    await busy.query('rollback')
    await busy.end()
    expect(await migrating).toContain('0001_contract')
    expect(waits[0]).toContain('lock')
  })

  test('indexes of large tables are built beside writers, and one that was cut short is built again', async () => {
    const { databaseUrl } = await emptyWorld()
    await migrateDatabase({ databaseUrl, log, onWait: () => undefined })
    const [setup, writer] = [1, 2].map(() => new Client({ connectionString: databaseUrl.reveal() }))
    if (!setup || !writer) throw new Error('There are two')
    await Promise.all([setup.connect(), writer.connect()])
    // As after an interrupted build; the new build waits for an earlier writer.
    await setup.query(`
      update pg_index set indisvalid = false where indexrelid = 'plays_page'::regclass;
      drop index tracks_features_not_found;
      delete from migrations where name = '0016_large_indexes'`)
    await writer.query('begin')
    const insert = (n: number) =>
      writer.query(
        `insert into plays (user_id, played_at, track_id, source, page_partition, page_offset)
         values (1, now(), $1, 'poll', 0, $2)`,
        [`t${n}`, n],
      )
    await insert(1)
    const other = migrateDatabase({ databaseUrl, log, onWait: () => undefined })
    const waiting = migrateDatabase({ databaseUrl, log, onWait: () => undefined })
    await until(async () => {
      const { rows } = await setup.query(
        `select from pg_stat_activity where datname = current_database() and wait_event = 'virtualxid'`,
      )
      return rows.length === 1
    }, 'the build waits for the writer')
    await insert(2)
    await writer.query('commit')
    expect((await Promise.all([other, waiting])).flat()).toEqual(['0016_large_indexes'])
    const { rows } = await setup.query(
      `select i.indexrelid::regclass::text as name from pg_index i where i.indisvalid
       and i.indexrelid::regclass::text = any ('{plays_page,tracks_features_not_found}') order by 1`,
    )
    expect(rows).toEqual([{ name: 'plays_page' }, { name: 'tracks_features_not_found' }])
    await Promise.all([setup.end(), writer.end()])
  })
})

describe('topics', () => {
  let kafka: KafkaConfig
  let databaseUrl: Secret
  const name = () => topology(kafka.prefix).recentlyPlayed.name

  beforeAll(async () => {
    const empty = await emptyWorld()
    kafka = empty.kafka
    databaseUrl = empty.databaseUrl
    await migrateAll({ kafka, databaseUrl, log })
  })

  test('of one replica still take records when the replication factor says 3, and the difference is said', async () => {
    const { topics } = await migrateAll({
      kafka: { ...kafka, replicationFactor: 3 },
      databaseUrl,
      log,
    })
    expect(topics.changed).toEqual([])
    expect(topics.differing).toHaveLength(allTopics(topology(kafka.prefix)).length)
    expect(topics.differing[0]).toContain('has 1 replicas and KAFKA_REPLICATION_FACTOR is 3')
  })

  test('settings under which records are lost, changed or refused are put right', async () => {
    await alterTopic(kafka, name(), [
      { name: 'compression.type', value: 'lz4' },
      { name: 'message.timestamp.type', value: 'LogAppendTime' },
      { name: 'retention.bytes', value: '1048576' },
    ])
    const { topics } = await migrateAll({ kafka, databaseUrl, log })
    // The test's own alterTopic removes the other settings.
    expect(topics.changed).toEqual(
      expect.arrayContaining([
        `${name()}: retention.bytes 1048576 → -1`,
        `${name()}: compression.type lz4 → producer`,
        `${name()}: message.timestamp.type LogAppendTime → CreateTime`,
      ]),
    )
  })
})

describe('settings of the servers', () => {
  test('under which times are read wrong are refused, with what to do', async () => {
    const { world } = await emptyWorld()
    const name = new URL(world.env.DATABASE_URL ?? '').pathname.slice(1)
    await onDatabase(world, `alter database ${name} set datestyle = 'German, DMY'`)
    const { code, stdout, stderr } = await runMigrate(world.env)
    expect(stdout).toContain('0001_contract')
    expect(stderr).toMatch(/^Refused: Postgres: DateStyle is German, DMY .*ALTER DATABASE/)
    expect(code).toBe(1)
    await onDatabase(world, `alter database ${name} reset datestyle`)
    expect((await runMigrate(world.env)).code).toBe(0)
  })

  test('that change while a service runs raise one event, and one when they are safe again', async () => {
    const { world, kafka, databaseUrl } = await emptyWorld()
    await migrateAll({ kafka, databaseUrl, log })
    const name = topology(kafka.prefix).recentlyPlayed.name
    const postgres = openPostgres({ url: databaseUrl, connections: 1, name: 'test', log })
    const published: Notice[] = []
    const { raise, resolve } = openIncidents(postgres, async (notice) => void published.push(notice))
    const find = () => findInServers({ kafka, sql: postgres, name: 'test', log })
    const look = () => watchSettings({ subject: 'servers', find, raise, resolve, log }).close()

    await look()
    expect(published).toEqual([])
    await alterTopic(kafka, name, [{ name: 'message.timestamp.type', value: 'LogAppendTime' }])
    await onDatabase(world, 'alter table plays set unlogged')
    await look()
    await look()
    expect(published.map(({ type, state }) => `${type} ${state}`)).toEqual(['unsafe_setting raised'])
    expect(published[0]?.message).toContain('message.timestamp.type is LogAppendTime')
    expect(published[0]?.message).toContain('unlogged tables is plays')
    await onDatabase(world, 'alter table plays set logged')
    await migrateAll({ kafka, databaseUrl, log })
    await look()
    expect(published.map(({ state }) => state)).toEqual(['raised', 'resolved'])
    await postgres.close()
  })

  async function onDatabase(world: World, sql: string): Promise<void> {
    const client = new Client({ connectionString: world.env.DATABASE_URL })
    await client.connect()
    await client.query(sql)
    await client.end()
  }
})

describe('a step that fails says which, in the words of the server, and what to do', () => {
  async function run(change: (url: URL) => unknown): Promise<{ code: number; stderr: string }> {
    const { world } = await emptyWorld()
    const url = new URL(world.env.DATABASE_URL ?? '')
    change(url)
    return runMigrate({ ...world.env, DATABASE_URL: url.href })
  }

  test.each<[string, (url: URL) => unknown, RegExp[]]>([
    [
      'nobody listens',
      (url) => Object.assign(url, { port: '1' }),
      [/^Postgres: .*ECONNREFUSED/, /Is it running\?/],
    ],
    [
      'an unknown name',
      (url) => Object.assign(url, { hostname: 'nowhere.invalid' }),
      [/nowhere\.invalid/, /cannot be resolved/],
    ],
    [
      'a wrong password',
      (url) => Object.assign(url, { password: 'wrong' }),
      [/password authentication failed/, /login is refused/],
    ],
    [
      'no such database',
      (url) => Object.assign(url, { pathname: '/nowhere' }),
      [/"nowhere" does not exist/, /Create the database/],
    ],
    ['no TLS', (url) => Object.assign(url, { search: '?sslmode=require' }), [/does not support SSL/, /TLS/]],
  ])('%s', async (_title, change, patterns) => {
    const { code, stderr } = await run(change)
    expect(code).toBe(1)
    for (const pattern of patterns) expect(stderr).toMatch(pattern)
    if (!/ECONNREFUSED/.test(stderr)) expect(stderr).not.toContain('Is it running')
  })
})
