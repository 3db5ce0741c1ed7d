import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readArchive } from '../../lib/archive/read.ts'
import { indexPrefix, readEntry } from '../../lib/archive/user-index.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { S3 } from '../../lib/s3.ts'
import { withLease } from '../../operations/lease.ts'
import { archiveKeys, openTestS3 } from '../support/archive.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import type { S3Gate } from '../support/s3-faults.ts'
import { cutListing, listingWithout, openS3Gate } from '../support/s3-faults.ts'
import { startService } from '../support/service.ts'
import { runSongswap, spawnSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

/* Erases users from an archive of many objects, on stores with bad listings, with and without an index. */

let stream: Stream
let postgres: Postgres
let kafka: Kafka
let s3: S3
let gate: S3Gate
let prefix: string
const users = 12
const pagesOfUser = 6

beforeAll(async () => {
  stream = await createStream()
  postgres = stream.openPostgres(4)
  kafka = (await stream.openKafka()).kafka
  s3 = openTestS3(stream.env)
  gate = await openS3Gate(stream.env.S3_ENDPOINT ?? '')
  prefix = stream.env.S3_PREFIX ?? ''
  for (let user = 1; user <= users; user++) {
    await postgres.query('insert into users (spotify_id) values ($1)', [`listener-${user}`])
  }
})
beforeEach(() => {
  gate.onRequest = () => null
})
afterAll(async () => {
  await gate?.close()
  await s3?.close()
  await stream?.release()
})

/** Archives a page of every user; each round makes new objects. */
async function archiveRound(): Promise<void> {
  const page = { endpoint: 'recently-played', source: 'poll', fetchedAt: Date.now(), status: 200 }
  const records = Array.from({ length: users }, (_, i) => {
    const key = String(i + 1)
    return { key, value: { ...page, subject: key, body: Buffer.from('{"items":[]}') } }
  })
  await kafka.publish(stream.topology.recentlyPlayed, records)
  const archiver = await startService('archiver', {
    ...stream.env,
    LOG_LEVEL: 'info',
    ARCHIVE_OBJECT_AGE_SECONDS: '1',
  })
  const admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  const { groups, recentlyPlayed } = stream.topology
  await until(async () => {
    const { partitions } = await admin.readGroupLag(groups.archiver, [recentlyPlayed.name])
    return partitions.every((p) => p.lag === 0)
  }, 'all is archived')
  await admin.close()
  await archiver.stop()
}

interface Receipt {
  archive: {
    read: number
    passed: number
    objects: number
    records: number
    confirmed: boolean
    missing: { partition: number; from: number; to: number }[]
  }
}

/** Erases through the gate. */
async function erase(user: number, exitCode = 0, ...args: string[]): Promise<Receipt> {
  const env = { ...stream.env, S3_ENDPOINT: gate.endpoint }
  const ended = await runSongswap(['account', 'erase', String(user), '--json', ...args], env)
  expect(ended.code, ended.stderr).toBe(exitCode)
  return JSON.parse(ended.stdout)
}

/** Number of a user's rows in the archive. */
async function rowsOf(user: number): Promise<number> {
  let count = 0
  for (const path of await archiveKeys(s3, prefix)) {
    for await (const row of (await readArchive(await s3.get(path))).rows) {
      if (row.key?.toString() === String(user)) count++
    }
  }
  return count
}

async function overwrite(key: string, bytes: Buffer): Promise<void> {
  const md5 = createHash('md5').update(bytes).digest('base64')
  const open = () => Readable.from([bytes], { objectMode: false })
  await s3.replace({ key, open, length: bytes.length, md5, contentType: 'application/avro', metadata: {} })
}

async function entries(): Promise<string[]> {
  const found: string[] = []
  for await (const path of s3.list(indexPrefix(prefix, stream.topology.recentlyPlayed.name))) found.push(path)
  return found
}

test('what there is: a page of every user in each round of objects', async () => {
  for (let round = 0; round < pagesOfUser; round++) await archiveRound()
  expect(await rowsOf(1)).toBe(pagesOfUser)
}, 240_000)

const isList = (method: string, path: string) => method === 'GET' && path.includes('list-type=2')

describe('a restore', () => {
  const restore = (...args: string[]) =>
    runSongswap(['restore', '--json', ...args], { ...stream.env, S3_ENDPOINT: gate.endpoint })

  test('from a store whose listing goes on without a token reads everything', async () => {
    gate.onRequest = (method, path) =>
      isList(method, path) ? { type: 'rewrite', body: (xml) => cutListing(xml, 3) } : null
    const { code, stdout, stderr } = await restore('--execute')
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ read: users * pagesOfUser, missing: [], damaged: [] })
  })

  test('from a listing that leaves objects out names what is missing, and does not succeed', async () => {
    gate.onRequest = (method, path) =>
      isList(method, path)
        ? { type: 'rewrite', body: (xml) => listingWithout(xml, /0000000000000000000[15]\.avro/) }
        : null
    const shown = await restore()
    expect(shown.code).toBe(1)
    expect(JSON.parse(shown.stdout).missing.length).toBeGreaterThan(0)
    const { code, stdout } = await restore('--execute')
    expect(code).toBe(1)
    const { read, missing } = JSON.parse(stdout)
    const lacking = missing.reduce((n: number, m: { from: number; to: number }) => n + m.to - m.from + 1, 0)
    expect(lacking).toBeGreaterThan(missing.length - 1)
    expect(read + lacking).toBe(users * pagesOfUser)
    const said = await runSongswap(['restore', '--execute'], { ...stream.env, S3_ENDPOINT: gate.endpoint })
    expect(said.stderr).toMatch(/Missing in the archive: \S+\/\d+: offset 1\n/)
  })
})

describe('the index', () => {
  test('names every object that was put: only those of the user are read', async () => {
    const objects = await archiveKeys(s3, prefix)
    expect(await entries()).toHaveLength(objects.length)
    const { archive } = await erase(1)
    expect(archive).toMatchObject({ records: pagesOfUser, objects: pagesOfUser, read: pagesOfUser })
    expect(archive.passed).toBe(objects.length - pagesOfUser)
  })

  test('is not believed where it says nothing: an object without an entry is opened', async () => {
    const [some = '', ...others] = await entries()
    await s3.delete(some)
    const { archive } = await erase(2)
    expect(archive.records).toBe(pagesOfUser)
    expect(archive.read + archive.passed).toBe(others.length + 1)
  })

  test('is erased too, and what was written again has an entry again', async () => {
    const { archive } = await erase(1, 0, '--execute')
    expect(archive).toMatchObject({ records: pagesOfUser, confirmed: true, missing: [] })
    expect(await rowsOf(1)).toBe(0)
    const left = await entries()
    expect(left).toHaveLength((await archiveKeys(s3, prefix)).length)
    for (const path of left) expect([...((await readEntry(s3, path))?.users ?? [])]).not.toContain('1')
  })

  test('is rebuilt by command, and drops what belongs to no object', async () => {
    const all = await entries()
    for (const path of all.slice(0, 5)) await s3.delete(path)
    const folder = indexPrefix(prefix, stream.topology.recentlyPlayed.name)
    await overwrite(`${folder}2026-01-01/left-over`, Buffer.from('x'))
    const run = (...args: string[]) => runSongswap(['account', 'index', '--json', ...args], stream.env)
    expect(JSON.parse((await run()).stdout)).toMatchObject({ unnamed: 5, orphans: 1, written: 0 })
    const done = await run('--execute')
    expect(done.code, done.stderr).toBe(0)
    expect(JSON.parse(done.stdout)).toMatchObject({ unnamed: 5, orphans: 1, written: 5 })
    expect(await entries()).toEqual(all)
  })
})

describe('a listing', () => {
  test('that goes on without a token is followed to its end', async () => {
    gate.onRequest = (method, path) =>
      isList(method, path) ? { type: 'rewrite', body: (xml) => cutListing(xml, 5) } : null
    expect((await erase(3, 0, '--execute')).archive).toMatchObject({ records: pagesOfUser, confirmed: true })
    expect(await rowsOf(3)).toBe(0)
  })

  test('that leaves an object out is made up for by the index', async () => {
    gate.onRequest = (method, path) =>
      isList(method, path) && path.includes('topic%3D')
        ? { type: 'rewrite', body: (xml) => listingWithout(xml, /00000000000000000001\.avro/) }
        : null
    expect((await erase(4, 0, '--execute')).archive).toMatchObject({ records: pagesOfUser, confirmed: true })
    expect(await rowsOf(4)).toBe(0)
  })

  test('that leaves objects out, in the middle and at the end, gives no receipt but says which offsets it lacks', async () => {
    for (const path of await entries()) await s3.delete(path)
    gate.onRequest = (method, path) =>
      isList(method, path)
        ? { type: 'rewrite', body: (xml) => listingWithout(xml, /0000000000000000000[15]\.avro/) }
        : null
    const { archive } = await erase(5, 1, '--execute')
    expect(archive.missing.map(({ from }) => from)).toContain(1)
    expect(archive.missing.length).toBeGreaterThan(1)
    const env = { ...stream.env, S3_ENDPOINT: gate.endpoint }
    const { stdout } = await runSongswap(['account', 'erase', '5', '--execute'], env)
    expect(stdout).toMatch(/NOT COMPLETE: no object of the archive that was listed/)
    gate.onRequest = () => null
    await erase(5, 0, '--execute')
    expect(await rowsOf(5)).toBe(0)
  })

  test('that is older than the archive: what is put while it is erased is erased as well', async () => {
    for (const path of await entries()) await s3.delete(path)
    let isFirst = true
    gate.onRequest = (method, path) => {
      if (!isList(method, path) || !path.includes('topic%3D') || !isFirst) return null
      isFirst = false
      return { type: 'rewrite', body: (xml) => listingWithout(xml, /00000000000000000004\.avro/) }
    }
    expect((await erase(6, 0, '--execute')).archive).toMatchObject({ records: pagesOfUser, confirmed: true })
    expect(await rowsOf(6)).toBe(0)
  })
})

test('objects that were written again and lost their metadata still cover their offsets: nobody comes back', async () => {
  for (const path of await archiveKeys(s3, prefix)) {
    await overwrite(path, Buffer.concat(await (await s3.get(path)).toArray()))
  }
  const replay = await runSongswap(['replay', 'archiver', '--execute', '--json'], stream.env)
  expect(replay.code, replay.stderr).toBe(0)
  expect(JSON.parse(replay.stdout)).toMatchObject({ objectsPut: 0 })
  expect(await rowsOf(6)).toBe(0)
  const { archive } = await erase(6, 0, '--execute')
  expect(archive).toMatchObject({ records: 0, confirmed: true, missing: [] })
})

describe('two erasers', () => {
  test('do not work at the same time, and what a dead one held is free after seconds', async () => {
    gate.onRequest = (method) => (method === 'PUT' ? { type: 'hang' } : null)
    const gated = { ...stream.env, S3_ENDPOINT: gate.endpoint }
    const first = spawnSongswap(['account', 'erase', '7', '--execute'], gated)
    await until(async () => (await leases()) === 1, 'the first one holds the lease')
    const second = await runSongswap(['account', 'erase', '8', '--execute'], stream.env)
    expect(second.code).toBe(1)
    expect(second.stderr).toContain('Somebody else is erasing')
    first.kill()
    await first.ended
    gate.onRequest = () => null
    expect(await leaseEndsInSeconds()).toBeLessThan(30)
    await postgres.query(`update operator_leases set held_until = now() + interval '1 s'`)
    await erase(8, 0, '--execute')
    await erase(7, 0, '--execute')
    expect([await rowsOf(7), await rowsOf(8)]).toEqual([0, 0])
  }, 120_000)

  test('do not undo one another: what somebody has replaced meanwhile is not written over', async () => {
    let interfered = false
    gate.onRequest = async (method, path) => {
      if (method === 'PUT' && path.includes('topic%3D') && !interfered) {
        interfered = true
        // Another eraser without a lease is quicker.
        const key = decodeURIComponent(path.slice(1, path.indexOf('?')))
          .split('/')
          .slice(1)
          .join('/')
        await overwrite(key, Buffer.concat([...(await (await s3.get(key)).toArray()), Buffer.from('x')]))
      }
      return null
    }
    const env = { ...stream.env, S3_ENDPOINT: gate.endpoint }
    const { code, stderr } = await runSongswap(['account', 'erase', '9', '--execute'], env)
    expect(interfered).toBe(true)
    expect(code).toBe(1)
    expect(stderr).toContain('was replaced by somebody else meanwhile')
  })

  test('a lease that may be lost lets nothing be written any more', async () => {
    await withLease(postgres, { name: 'erase', signal: AbortSignal.timeout(60_000) }, async (lease) => {
      lease.assertHeld()
      await postgres.query(
        `update operator_leases set holder = gen_random_uuid(), held_until = now() + interval '1 h'`,
      )
      await until(() => {
        try {
          lease.assertHeld()
          return false
        } catch {
          return true
        }
      }, 'it is known to be lost')
    })
    expect(await leases()).toBe(1)
    await postgres.query('delete from operator_leases')
  })
})

async function leaseEndsInSeconds(): Promise<number> {
  const sql = 'select extract(epoch from held_until - now())::float8 as s from operator_leases'
  return (await postgres.query<{ s: number }>(sql)).rows[0]?.s ?? Number.NaN
}

const leases = async () => (await postgres.query('select from operator_leases')).rowCount
