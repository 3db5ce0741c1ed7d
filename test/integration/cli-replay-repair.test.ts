import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { digestOf } from '../../services/loader/item.ts'
import { idFor, item, pageBody, track } from '../support/pages.ts'
import { createReplays, dayMs, minute, start } from '../support/replays.ts'
import { startService } from '../support/service.ts'
import { runSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

const pagesOfUser = 10
const { stream, postgres, kafka, publish, replay, count, contents, empty, release } =
  await createReplays(pagesOfUser)

beforeEach(empty)
afterAll(release)

describe('songswap replay loader.history', () => {
  test('repairs to null: what the page says is none, and in a rebuild what no page says; else it is counted', async () => {
    await replay('loader.history')
    const before = await contents()
    const spoil = () =>
      postgres.query(`
        update plays set context_type = 'wrong' where context_type is null;
        update albums set album_type = 'wrong';
        update tracks set isrc = 'wrong' where id = '${idFor('Silent')}'`)
    // Its album has no type, and it has no ISRC.
    const { external_ids: _, ...silent } = track('Silent')
    const album = { id: idFor('Untyped'), name: 'Untyped', album_type: null, images: [] }
    await publish(7, pageBody([item(start - minute, 'Silent', { track: { ...silent, album } })]))
    await replay('loader.history')
    const whole = await contents()
    expect(whole).not.toEqual(before)

    await spoil()
    const [last] = (await stream.readTopic(stream.topology.recentlyPlayed.name)).filter((r) =>
      r.bytes?.includes('Silent'),
    )
    const partial = await replay('loader.history', '--from', `${last?.partition}:${last?.offset}`)
    expect(partial).toMatchObject({ unjudged: 1 })
    expect(await count(`albums where id = '${idFor('Untyped')}' and album_type is null`)).toBe(1)
    expect(await count("tracks where isrc = 'wrong'")).toBe(1)
    expect(await replay('loader.history')).toMatchObject({ unjudged: 0 })
    expect(await contents()).toEqual(whole)
  })

  test('removes plays that their own page does not claim, names them before, and leaves those of other logs', async () => {
    await replay('loader.history')
    const before = await contents()
    await postgres.query(`
      update plays set played_at = played_at + interval '1 hour' where user_id = 7;
      update plays set track_id = 'wrong' where user_id = 8;
      update plays set user_id = 77 where user_id = 9`)
    const dry = await runSongswap(['replay', 'loader.history', '--json'], stream.env)
    const wrong = await count('plays')
    expect(JSON.parse(dry.stdout)).toMatchObject({ unclaimed: { plays: wrong, finished: true } })
    expect((await runSongswap(['replay', 'loader.history'], stream.env)).stderr).toContain(
      `${wrong} plays that their page does not claim would be removed:`,
    )
    expect(await count('plays')).toBe(wrong)
    // A play of an earlier log: its page had the same place, and the row is older than the record.
    await postgres.query(`
      insert into plays (user_id, played_at, track_id, source, page_partition, page_offset, ingested_at)
      select 78, played_at, track_id, source, page_partition, page_offset, now() - interval '9 days' from plays`)
    // Plays of another log, by its number or by the time of the record.
    await postgres.query(`
      insert into plays (user_id, played_at, track_id, source, page_partition, page_offset, page_incarnation, page_timestamp)
      select 79 + n, played_at, track_id, source, page_partition, page_offset, n, page_timestamp + (1 - n) * interval '1 day'
      from plays, generate_series(0, 1) n where user_id in (7, 8, 77)`)
    const done = await replay('loader.history')
    expect(done).toMatchObject({ removed: wrong, stored: wrong })
    expect(done.removedExamples).toHaveLength(10)
    expect(done.removedExamples[0]).toMatch(/^\d+\/\d+: user \d+ \S+Z \S+$/)
    expect(await count('plays where user_id in (78, 79, 80)')).toBe(3 * wrong)
    await postgres.query('delete from plays where user_id in (78, 79, 80)')
    expect(await contents()).toEqual(before)
    expect(await replay('loader.history')).toMatchObject({ removed: 0, stored: 0, changed: 0 })
  })

  test('removes no play that was loaded from a file, and counts one that does not say when its page was made', async () => {
    await replay('loader.history')
    const exported = await runSongswap(['account', 'export', '7'], stream.env)
    const file = ['restore', '--from-file', '-', '--as', '12', '--execute']
    expect((await runSongswap(file, stream.env, exported.stdout)).code).toBe(0)
    const plays = await count('plays where user_id = 12')
    expect(plays).toBeGreaterThanOrEqual(pagesOfUser)
    await postgres.query(`
      insert into plays (user_id, played_at, track_id, source, page_partition, page_offset)
      select 13, played_at, track_id, source, page_partition, page_offset from plays where user_id = 7`)
    expect(await replay('loader.history')).toMatchObject({ removed: 0, stored: 0, unjudged: plays })
    expect(await count('plays where user_id in (12, 13)')).toBe(2 * plays)
    const again = await runSongswap(['account', 'export', '12'], stream.env)
    const pagesOf = (lines: string) =>
      lines
        .trimEnd()
        .split('\n')
        .map((l) => JSON.parse(l).page)
    expect(pagesOf(again.stdout)).toEqual(pagesOf(exported.stdout))
  })

  test('is no rebuild where the tables also say what a restore or another page has said', async () => {
    const loaded = ['account', 'export', '7']
    await replay('loader.history')
    const file = await runSongswap(loaded, stream.env)
    const isJudged = async () => {
      await postgres.query(`update tracks set isrc = 'wrong' where id = '${idFor('Silent')}'`)
      const { unjudged } = await replay('loader.history')
      return unjudged === 0
    }
    await postgres.query('delete from reruns')
    expect(await isJudged()).toBe(true)
    await postgres.query(`
      insert into plays (user_id, played_at, track_id, source, page_partition, page_offset, page_timestamp)
      values (14, now(), 'beyond', 'poll', 0, 1000000, now())`)
    expect(await isJudged()).toBe(false)
    await postgres.query('delete from plays where user_id = 14')
    expect(await isJudged()).toBe(true)
    await runSongswap(['restore', '--from-file', '-', '--execute'], stream.env, file.stdout)
    expect(await count('plays where page_incarnation <> 0')).toBe(0)
    expect(await isJudged()).toBe(false)
  })

  test('a page with an item that cannot be told removes nothing', async () => {
    await publish(6, pageBody([item(start, 'Good'), { track: track('Bad') }]))
    await replay('loader.history', '--user', '6')
    await postgres.query("update plays set played_at = played_at + interval '1 hour' where user_id = 6")
    expect(await replay('loader.history', '--user', '6')).toMatchObject({
      removed: 0,
      unjudged: 1,
      stored: 1,
    })
    expect(await count('plays where user_id = 6')).toBe(2)
  })

  test('accepts items that were ahead of a clock that was behind', async () => {
    const behind = Date.now() - 14 * dayMs
    const value = {
      endpoint: 'recently-played',
      subject: '5',
      source: 'poll',
      status: 200,
      fetchedAt: behind,
    }
    const body = pageBody([item(start, 'Early'), item(start - minute, 'Earlier')])
    await kafka.publish(stream.topology.recentlyPlayed, [{ key: '5', value: { ...value, body } }])
    const live = await startService('loader', { ...stream.env, LOG_LEVEL: 'info' })
    await until(async () => (await count('rejected_items where user_id = 5')) === 2, 'both are rejected')
    await live.stop()
    expect(await count('plays where user_id = 5')).toBe(0)
    expect(await replay('loader.history', '--user', '5')).toMatchObject({ stored: 2, rejected: 0 })
    expect(await count('rejected_items where user_id = 5')).toBe(0)
    // As rejected by a parser that did not know its track.
    const raw = JSON.parse(body.toString()).items[0]
    await postgres.query(
      `insert into rejected_items (user_id, item_digest, reason, page_partition, page_offset)
       values (5, $1, 'missing_track_id', 0, 0), (5, 'another', 'missing_track_id', 0, 0)`,
      [digestOf(raw, 'missing_track_id')],
    )
    await replay('loader.history', '--user', '5')
    expect(await count("rejected_items where user_id = 5 and item_digest <> 'another'")).toBe(0)
    expect(await count("rejected_items where user_id = 5 and item_digest = 'another'")).toBe(1)
  }, 120_000)

  test('stops before it removes more than a share of the plays, and is told how much it may remove', async () => {
    const plays = (from: number) =>
      Array.from({ length: 30 }, (_, i) => item(start + (from + i) * minute, `W${from + i}`)).toReversed()
    for (const from of [0, 30]) await publish(20, pageBody(plays(from)))
    const of = ['loader.history', '--user', '20']
    await replay(...of)
    // As stored by a parser that the present one contradicts in every play.
    await postgres.query("update plays set track_id = 'other ' || track_id where user_id = 20")
    const before = await contents()
    const dry = await runSongswap(['replay', ...of], stream.env)
    expect(dry.stderr).toContain('The range has 60 plays: --execute stops before it removes so many')
    const runs = await count('reruns')
    for (const more of [[], ['--allow-removal', '99']]) {
      const stopped = await runSongswap(['replay', ...of, '--execute', ...more], stream.env)
      expect(stopped.code).toBe(1)
      expect(stopped.stderr).toContain('60 of the 60 plays of the range would be removed')
      expect(stopped.stderr).toContain('--allow-removal 100')
    }
    expect(await contents()).toEqual(before)
    expect(await count('reruns')).toBe(runs)
    expect(await replay(...of, '--allow-removal', '100')).toMatchObject({ removed: 60, stored: 60 })
  })

  test('keeps a play that another page of the user claims, also one beyond the range', async () => {
    const [claimed, other] = [item(start, 'Claimed'), item(start + minute, 'Other')]
    await publish(21, pageBody([claimed]), { partition: 0 })
    await publish(21, pageBody([other]), { partition: 1 })
    await replay('loader.history', '--user', '21')
    const before = await contents()
    const spoil = () =>
      postgres.query(`
        update plays p set page_partition = o.page_partition, page_offset = o.page_offset, page_timestamp = o.page_timestamp
        from plays o where o.user_id = 21 and p.user_id = 21 and o.track_id = '${idFor('Other')}'`)
    for (const range of [
      ['--partition', '1'],
      ['--partition', '0,1'],
    ]) {
      await spoil()
      const dry = await runSongswap(['replay', 'loader.history', ...range, '--json'], stream.env)
      expect(JSON.parse(dry.stdout)).toMatchObject({ unclaimed: { plays: 0, kept: 1 } })
      expect(await replay('loader.history', '--user', '21', ...range)).toMatchObject({ removed: 0, kept: 1 })
      expect(await contents()).toEqual(before)
    }
  })
})
