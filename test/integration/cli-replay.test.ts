import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { openAdmin } from '../../lib/kafka/admin.ts'
import { readOrigin } from '../../lib/kafka/dead-letter.ts'
import type { RerunReport } from '../../operations/rerun/run.ts'
import { archiveKeys, openTestS3, readWholeArchive } from '../support/archive.ts'
import { createReplays, users } from '../support/replays.ts'
import { openS3Gate } from '../support/s3-faults.ts'
import { startService } from '../support/service.ts'
import { runSongswap, spawnSongswap, startSongswap } from '../support/songswap.ts'
import { openTcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

const pagesOfUser = 40
const pages = users.length * pagesOfUser
const { stream, postgres, publish, replay, count, contents, empty, release } = await createReplays(
  pagesOfUser,
  (i) => ({ context: { type: 'playlist', uri: `spotify:playlist:${i}` } }),
)
const s3 = openTestS3(stream.env)

beforeEach(empty)
afterAll(async () => {
  await s3.close()
  await release()
})

describe('songswap replay loader.history', () => {
  test('without --execute says what it would do, and does nothing', async () => {
    const { code, stdout, stderr } = await runSongswap(['replay', 'loader.history'], stream.env)
    expect(code, stderr).toBe(0)
    expect(stderr).toContain(`over ${pages} records with: --execute`)
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    expect(await count('plays')).toBe(0)
    expect(await count('reruns')).toBe(0)
  })

  test('stores what is missing, and a second time changes nothing', async () => {
    const first = await replay('loader.history')
    expect(first).toMatchObject({ finished: true, read: pages, stored: pages, changed: 0 })
    expect(first.items).toBe(first.stored + first.alreadyThere)
    const before = await contents()
    const second = await replay('loader.history')
    expect(second).toMatchObject({ read: pages, stored: 0, changed: 0, catalogueRows: 0 })
    expect(second.alreadyThere).toBe(second.items)
    expect(await contents()).toEqual(before)
  })

  test('repairs what a wrong parser wrote: plays, tracks, their artists, albums', async () => {
    await replay('loader.history')
    const before = await contents()
    await postgres.query(`
      update plays set context_uri = 'wrong' where user_id = 7;
      delete from plays where user_id = 8;
      update tracks set name = 'wrong', isrc = null;
      update albums set release_date = 'wrong';
      update track_artists set artist_id = 'wrong'`)
    const mended = await replay('loader.history')
    expect(mended).toMatchObject({ stored: pagesOfUser, changed: pagesOfUser })
    expect(mended.catalogueRows).toBeGreaterThanOrEqual(27)
    expect(await contents()).toEqual(before)
  })

  test('takes only the user, the time, or the offsets that were asked for', async () => {
    expect(await replay('loader.history', '--user', '7')).toMatchObject({
      stored: pagesOfUser,
      passedOver: pages - pagesOfUser,
    })
    expect(await count('plays where user_id <> 7')).toBe(0)
    expect((await replay('loader.history', '--from', '1d')).read).toBe(pages - users.length)
    const [record] = (await stream.readTopic(stream.topology.recentlyPlayed.name)).slice(-1)
    const place = `${record?.partition}:${record?.offset}`
    const one = await replay('loader.history', '--from', place)
    expect(one).toMatchObject({ read: 1, items: 2 })
    const none = await replay('loader.history', '--from', place, '--to', '0')
    expect(none.read).toBe(0)
  })

  test('Ctrl-C stops it cleanly, and --resume goes on where it was', async () => {
    const slow = startSongswap(
      ['replay', 'loader.history', '--rate', '20', '--execute', '--json'],
      stream.env,
    )
    await until(async () => (await count('plays')) > 0, 'some plays are stored')
    slow.interrupt()
    const ended = await slow.ended
    const cut: RerunReport = JSON.parse(ended.stdout)
    expect(ended.code).toBe(1)
    expect(cut.finished).toBe(false)
    expect(cut.read).toBeLessThan(pages)
    const dry = await runSongswap(['replay', 'loader.history'], stream.env)
    expect(dry.stderr).toContain(`--resume ${cut.run}`)

    const rest = await replay('loader.history', '--resume')
    expect(rest).toMatchObject({ run: cut.run, finished: true, read: pages, stored: pages })
    expect(await count('plays')).toBe(pages)
    const again = await runSongswap(['replay', 'loader.history', '--resume', '--execute'], stream.env)
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('There is no unfinished run')
  })

  test('killed anywhere, it is resumed: read once more is what came after the last note, and nothing is doubled', async () => {
    await replay('loader.history')
    const whole = await contents()
    await postgres.query('delete from plays')
    const slow = spawnSongswap(['replay', 'loader.history', '--rate', '30', '--execute'], stream.env)
    await until(async () => (await count('plays')) > 80, 'more is stored than was noted down')
    slow.kill()
    await slow.ended
    const [run] = (
      await postgres.query<{ id: number; read: number }>(
        `select id, (tally->>'read')::int as read from reruns order by id desc limit 1`,
      )
    ).rows
    expect(run?.read).toBeLessThan(await count('plays'))

    const early = await runSongswap(['replay', 'loader.history', '--resume', '--execute'], stream.env)
    expect(early.code).toBe(1)
    expect(early.stderr).toContain(`Run ${run?.id} is at work`)
    const leased = () => count('reruns where leased_until > now()')
    await until(async () => (await leased()) === 0, 'the lease of the killed process has ended')
    const rest = await replay('loader.history', '--resume')
    expect(rest).toMatchObject({ run: run?.id, finished: true, read: pages, changed: 0 })
    expect(rest.items).toBe(rest.stored + rest.alreadyThere)
    expect(rest.items).toBe(2 * pages - users.length)
    expect(await contents()).toEqual(whole)
  }, 60_000)

  test('two at once store each play once, and a running one is not resumed', async () => {
    const args = ['replay', 'loader.history', '--execute', '--json']
    const slow = startSongswap([...args, '--rate', '40'], stream.env)
    await until(async () => (await count('plays')) > 0, 'the first one is at work')
    const dry = await runSongswap(['replay', 'loader.history'], stream.env)
    expect(dry.stderr).toMatch(/Run \d+ is at work\./)
    const resumed = await runSongswap([...args, '--resume'], stream.env)
    expect(resumed.code).toBe(1)
    const fast = await replay('loader.history')
    const ended = await slow.ended
    expect(ended.code, ended.stderr).toBe(0)
    const first: RerunReport = JSON.parse(ended.stdout)
    expect(first).toMatchObject({ finished: true, read: pages })
    expect(fast).toMatchObject({ finished: true, read: pages })
    expect(first.stored + fast.stored).toBe(pages)
    expect(await count('plays')).toBe(pages)
  }, 60_000)

  test('goes beside the live group, which keeps its members and its offsets', async () => {
    const loader = await startService('loader', { ...stream.env, LOG_LEVEL: 'info' })
    const admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
    const { loaderHistory } = stream.topology.groups
    const lag = () => admin.readGroupLag(loaderHistory, [stream.topology.recentlyPlayed.name])
    await until(async () => (await lag()).partitions.every((p) => p.lag === 0), 'the loader has caught up')
    const before = await lag()
    const ownGroups = async () =>
      (await admin.listGroups()).filter((g) => g.startsWith(`${stream.config.prefix}songswap`))
    // The broker forgets the group of a killed replay a minute later.
    const groups = await ownGroups()
    await postgres.query('delete from plays')
    expect((await replay('loader.history')).stored).toBe(pages)
    expect(await lag()).toEqual(before)
    expect((await ownGroups()).filter((g) => !groups.includes(g))).toEqual([])
    await admin.close()
    await loader.stop()
  }, 120_000)

  test('waits for a database that goes away, and ends as if nothing had been', async () => {
    const url = new URL(stream.env.DATABASE_URL ?? '')
    const link = await openTcpProxy({ port: Number(url.port) })
    url.port = String(link.port)
    const env = { ...stream.env, DATABASE_URL: url.href }
    const going = startSongswap(['replay', 'loader.history', '--rate', '40', '--execute', '--json'], env)
    await until(async () => (await count('plays')) > 0, 'some plays are stored')
    link.setMode({ type: 'refuse' })
    link.cut()
    await going.says(/(Waiting: )/)
    link.setMode({ type: 'open' })
    const { code, stdout, stderr } = await going.ended
    await link.close()
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ finished: true, read: pages })
    expect(await count('plays')).toBe(pages)
  })

  test('records that cannot be dealt with are dead letters once, unless they are only to be counted', async () => {
    await publish(7, Buffer.from('{"items":'))
    const deadInTopic = async () =>
      (await stream.readTopic(stream.topology.deadLetters.name)).map((r) => readOrigin(r)?.reason)
    const before = (await deadInTopic()).length
    expect((await replay('loader.history', '--no-dead-letters')).deadLetters.invalid_json).toBe(1)
    expect(await deadInTopic()).toHaveLength(before)
    const first = await replay('loader.history')
    expect(first.deadLetters.invalid_json).toBe(1)
    expect((await deadInTopic()).slice(before)).toEqual(['invalid_json'])
    // Existing dead letters are counted, and not published again.
    const reported = (await deadInTopic()).length
    const again = await replay('loader.history')
    expect(again).toMatchObject({ deadLetters: first.deadLetters })
    expect(again.deadKnown).toBe(Object.values(again.deadLetters).reduce((a, b) => a + b, 0))
    expect(await deadInTopic()).toHaveLength(reported)
  })

  test('a flood of dead letters stops it', async () => {
    await publish(7, Buffer.from('{"items":['))
    const env = { ...stream.env, DEAD_LETTER_FLOOD_MIN_COUNT: '1', DEAD_LETTER_FLOOD_PERCENT: '1' }
    const { code, stderr } = await runSongswap(['replay', 'loader.history', '--execute', '--user', '7'], env)
    expect(code).toBe(1)
    expect(stderr).toContain('too many records become dead letters')
    expect(stderr).toMatch(/--resume \d+ --execute/)
  })

  test.each([
    [['enricher'], 2, 'cannot be replayed'],
    [['nobody'], 2, 'There is no group "nobody"'],
    [['loader.metadata', '--user', '7'], 2, '--user does not go with'],
    [['loader.history', '--from', 'tomorrow'], 2, 'Give earliest, a span'],
    [['loader.history', '--to', 'earliest'], 2, 'Give latest, a span'],
    [['loader.history', '--from', 'latest'], 2, 'Give earliest, a span'],
    [['loader.history', '--resume', '--from', '7d'], 2, '--resume goes on'],
  ])('refuses %j', async (args, exitCode, words) => {
    const { code, stderr } = await runSongswap(['replay', ...args], stream.env)
    expect(code).toBe(exitCode)
    expect(stderr).toContain(words)
  })
})

describe('songswap replay archiver', () => {
  test('puts what no object holds, the same bytes under the same key, and leaves the others', async () => {
    const admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
    const archiver = await startService('archiver', {
      ...stream.env,
      LOG_LEVEL: 'info',
      ARCHIVE_OBJECT_AGE_SECONDS: '1',
    })
    const { groups, recentlyPlayed } = stream.topology
    await until(
      async () =>
        (await admin.readGroupLag(groups.archiver, [recentlyPlayed.name])).partitions.every(
          (p) => p.lag === 0,
        ),
      'the archiver has caught up',
    )
    await archiver.stop()
    await admin.close()
    expect(await replay('archiver')).toMatchObject({ finished: true, objectsPut: 0 })

    const keys = await archiveKeys(s3, stream.env.S3_PREFIX ?? '')
    const key = keys.at(-1) ?? ''
    const bytes = Buffer.concat(await (await s3.get(key)).toArray())
    await s3.delete(key)
    const { objectsPut, recordsPut, read } = await replay('archiver', '--from', 'earliest')
    expect(objectsPut).toBe(1)
    expect(recordsPut).toBeGreaterThan(0)
    expect(read).toBe(pages + 2)
    expect(Buffer.concat(await (await s3.get(key)).toArray()).equals(bytes)).toBe(true)
    expect(await archiveKeys(s3, stream.env.S3_PREFIX ?? '')).toEqual(keys)
  }, 120_000)

  test('two at once: what the shorter object of the other lacks goes into another one', async () => {
    const prefix = stream.env.S3_PREFIX ?? ''
    for (const key of await archiveKeys(s3, prefix)) await s3.delete(key)
    const gate = await openS3Gate(stream.env.S3_ENDPOINT ?? '')
    onTestFinished(() => gate.close())
    let isFirst = true
    gate.onRequest = async (method) => {
      if (method !== 'PUT' || !isFirst) return null
      isFirst = false
      // The first pages of all users are two days old: this archiver's objects begin at the same place and end sooner.
      expect((await replay('archiver', '--to', '1d')).recordsPut).toBe(users.length)
      return null
    }
    const env = { ...stream.env, S3_ENDPOINT: gate.endpoint }
    const { code, stdout, stderr } = await runSongswap(['replay', 'archiver', '--execute', '--json'], env)
    expect(code, stderr).toBe(0)
    const { read, recordsPut }: RerunReport = JSON.parse(stdout)
    expect(recordsPut).toBe(read - users.length)
    const archived = await readWholeArchive(s3, prefix)
    expect(archived.reduce((n, o) => n + o.rows.length, 0)).toBe(read)
  }, 60_000)
})
