import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { toDeadLetterRecords } from '../../lib/kafka/dead-letter.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { AuditReport } from '../../operations/audit/report.ts'
import { digestOf } from '../../services/loader/item.ts'
import { archiveKeys, openTestS3 } from '../support/archive.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { idFor, item, pageBody } from '../support/pages.ts'
import { startService } from '../support/service.ts'
import { runSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

let stream: Stream
let postgres: Postgres
let kafka: Kafka
const minute = 60_000
const start = Date.now() - 3 * 60 * minute

beforeAll(async () => {
  stream = await createStream()
  postgres = stream.openPostgres(1)
  kafka = (await stream.openKafka()).kafka
  await publish(7, [item(start, 'a'), item(start - minute, 'b')], Date.now() - 2 * 86_400_000)
  await publish(7, [item(start + minute, 'c'), item(start, 'a'), item(start - minute, 'b')])
  await publish(8, [
    item(start, 'a'),
    { ...item(start - minute, 'b'), track: null },
    { track: item(start, 'x').track },
  ])
  await kafka.publishBytes(stream.topology.recentlyPlayed.name, [{ key: '9', value: Buffer.from('no page') }])
})
afterAll(async () => {
  await stream.release()
})

async function publish(user: number, items: unknown[], timestamp = Date.now()): Promise<void> {
  const value = {
    endpoint: 'recently-played',
    subject: String(user),
    source: 'poll',
    fetchedAt: Date.now(),
    status: 200,
    body: pageBody(items),
  }
  await kafka.publish(stream.topology.recentlyPlayed, [{ key: String(user), value, timestamp }])
}

async function loadAndArchive(): Promise<void> {
  const env = { ...stream.env, LOG_LEVEL: 'info', ARCHIVE_OBJECT_AGE_SECONDS: '1' }
  const services = await Promise.all((['loader', 'archiver'] as const).map((name) => startService(name, env)))
  const admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  const { groups, recentlyPlayed } = stream.topology
  for (const group of [groups.loaderHistory, groups.archiver]) {
    await until(async () => {
      const { partitions } = await admin.readGroupLag(group, [recentlyPlayed.name])
      return partitions.every((p) => p.lag === 0)
    }, `${group} has caught up`)
  }
  await admin.close()
  await Promise.all(services.map((s) => s.stop()))
}

async function audit(...args: string[]): Promise<{ code: number | null; result: AuditReport }> {
  const { code, stdout } = await runSongswap(['audit', '--json', ...args], stream.env)
  return { code, result: JSON.parse(stdout) }
}

/** Runs `work` while some plays are deleted. */
async function without(plays: string, work: () => Promise<void>): Promise<void> {
  const { rows } = await postgres.query(`delete from plays where ${plays} returning *`)
  expect(rows).not.toEqual([])
  await work().finally(() =>
    postgres.query('insert into plays select * from json_populate_recordset(null::plays, $1)', [
      JSON.stringify(rows),
    ]),
  )
}

describe('songswap audit', () => {
  test('every item and record is counted once, and it adds up', async () => {
    await loadAndArchive()
    const { code, result } = await audit()
    const { account, archive, records, waiting } = result
    expect({ records, waiting }).toEqual({ records: 4, waiting: 0 })
    expect(account).toMatchObject({
      items: 8,
      stored: 4,
      duplicates: 2,
      dropped: { null_track: 1 },
      rejected: 1,
      deadPages: 1,
      missing: 0,
      faults: [],
    })
    expect(archive?.[stream.topology.recentlyPlayed.name]).toEqual({ archived: 4, waiting: 0, faults: [] })
    expect(code).toBe(0)
  }, 120_000)

  test('a play that is gone from Postgres is named by its page', async () => {
    const { rows } = await postgres.query(
      'delete from plays where user_id = 7 and played_at = $1 returning *',
      [new Date(start)],
    )
    const { code, result } = await audit()
    await postgres.query('insert into plays select * from json_populate_recordset(null::plays, $1)', [
      JSON.stringify(rows),
    ])
    expect(code).toBe(1)
    expect(result.account.missing).toBe(2)
    expect(result.account.faults).toHaveLength(2)
    expect(result.account.faults[0]).toMatch(/^\d+\/\d+: .* of user 7 at .* is not stored$/)
  })

  test('plays that are gone are found although their page has a dead letter for another item', async () => {
    await without('user_id = 8', async () => {
      const { code, result } = await audit('--no-archive')
      expect(code).toBe(1)
      expect(result.account).toMatchObject({ missing: 1, rejected: 1, deadLettered: 0 })
      expect(result.account.faults).toEqual([expect.stringMatching(/ of user 8 at .* is not stored$/)])
    })
  })

  test('an item that another page had rejected is missing where its own page reads a play', async () => {
    await without('user_id = 8', async () => {
      const digest = digestOf(item(start, 'a'), 'future_played_at')
      await postgres.query(`insert into rejected_items values (8, $1, 'future_played_at', now(), 0, 0)`, [
        digest,
      ])
      const { account } = (await audit('--no-archive')).result
      await postgres.query('delete from rejected_items where item_digest = $1', [digest])
      expect(account).toMatchObject({ missing: 1, rejected: 1 })
    })
  })

  test('a dead letter excuses the record of its timestamp alone, and no other one at the same place', async () => {
    const topic = stream.topology.recentlyPlayed.name
    const [record] = (await stream.readTopic(topic)).filter((r) => r.key?.toString() === '8')
    const bury = (timestamp: number) => {
      const info = { group: stream.topology.groups.loaderHistory, attempts: 1, at: Date.now() }
      const letter = {
        record: { ...(record as RawRecord), timestamp },
        reason: 'handler_error',
        message: '',
      } as const
      return kafka.publishBytes(stream.topology.deadLetters.name, toDeadLetterRecords([letter], info))
    }
    await without('user_id = 8', async () => {
      await bury((record?.timestamp ?? 0) - 1)
      expect((await audit('--no-archive')).result.account).toMatchObject({ missing: 1, deadLettered: 0 })
      await bury(record?.timestamp ?? 0)
      expect((await audit('--no-archive')).result.account).toMatchObject({ missing: 0, deadLettered: 1 })
    })
  })

  test('plays that their page does not show are found, and those of an earlier log at its place are not', async () => {
    const add = (track: string, columns = '', values = '') =>
      postgres.query(
        `insert into plays (user_id, played_at, track_id, source, page_partition, page_offset ${columns})
         select user_id, played_at + interval '1 s', $1, source, page_partition, page_offset ${values}
         from plays where user_id = 8 and track_id = $2`,
        [track, idFor('a')],
      )
    await add('earlier', ', page_timestamp', `, page_timestamp - interval '1 day'`)
    await add('older', ', ingested_at', `, page_timestamp - interval '1 day'`)
    expect((await audit('--no-archive')).result.account).toMatchObject({ unclaimed: 0, faults: [] })
    await add('other log', ', page_incarnation', ', page_incarnation + 1')
    expect((await audit('--no-archive')).result.account).toMatchObject({ unclaimed: 0, faults: [] })
    await add('wrong')
    await add('wrong too', ', page_timestamp', ', page_timestamp')
    const { code, result } = await audit('--no-archive')
    await postgres.query(
      `delete from plays where user_id = 8 and track_id = any ('{earlier,older,other log,wrong,wrong too}')`,
    )
    expect(code).toBe(1)
    expect(result.account.unclaimed).toBe(2)
    expect(result.account.faults.join('\n')).toContain('is stored under this page, which does not show it')
  })

  test('plays that name a page under a wrong user are found, and those that were loaded from a file are not', async () => {
    const copyTo = (user: number, incarnation: string) =>
      postgres.query(
        `insert into plays (user_id, played_at, track_id, source, page_partition, page_offset, page_timestamp,
           page_incarnation)
         select $1, played_at, track_id, source, page_partition, page_offset, page_timestamp, ${incarnation}
         from plays where user_id = 8 and track_id = $2`,
        [user, idFor('a')],
      )
    await copyTo(98, '~page_incarnation')
    expect((await audit('--no-archive')).result.account).toMatchObject({ unclaimed: 0, faults: [] })
    await copyTo(99, 'page_incarnation')
    const { account } = (await audit('--no-archive')).result
    await postgres.query('delete from plays where user_id in (98, 99)')
    expect(account.unclaimed).toBe(1)
    expect(account.faults).toEqual([expect.stringContaining('of user 99')])
  })

  test('what the loader and the archiver have not come to is waiting, and no fault', async () => {
    await publish(7, [item(start + 2 * minute, 'd')])
    const { code, result } = await audit()
    expect(code).toBe(0)
    expect(result).toMatchObject({ records: 5, waiting: 1, addsUp: true })
    expect(result.archive?.[stream.topology.recentlyPlayed.name]).toMatchObject({ archived: 4, waiting: 1 })
  })

  test('records before --since are left out', async () => {
    const [all, recent] = [await audit(), await audit('--since', '1d')]
    expect(recent.code).toBe(0)
    expect(recent.result.records).toBe(all.result.records - 1)
    expect(recent.result.account.items).toBe(all.result.account.items - 2)
  })

  test('the words end with the verdict', async () => {
    const { code, stdout } = await runSongswap(['audit', '--no-archive'], stream.env)
    expect(code).toBe(0)
    expect(stdout.trimEnd().split('\n').slice(-2)[0]).toMatch(
      /^It adds up: 8 items = 4 stored \+ 2 duplicates/,
    )
  })

  test('an object that is gone from the archive is named by the offsets that it held', async () => {
    const s3 = openTestS3(stream.env)
    const keys = await archiveKeys(s3, `${stream.env.S3_PREFIX}/topic=${stream.topology.recentlyPlayed.name}`)
    await s3.delete(keys[0] ?? '')
    await s3.close()
    const { code, result } = await audit()
    expect(code).toBe(1)
    expect(result.archive?.[stream.topology.recentlyPlayed.name]?.faults).toEqual([
      expect.stringMatching(/^\d+\/0: is in no object, up to \d+$/),
    ])
  })
})
