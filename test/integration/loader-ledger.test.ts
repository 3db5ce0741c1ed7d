import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { item, pageBody, track } from '../support/pages.ts'
import { startService } from '../support/service.ts'
import { until } from '../support/until.ts'

/* Pages are published directly to the topic of a running loader; each user is a case. */

let stream: Stream
let postgres: Postgres
let kafka: Kafka

const minute = 60_000
const start = Date.parse('2026-11-01T12:00:00.000Z')
const at = (minutes: number) => start + minutes * minute

/** Items of the minutes from `oldest` to `newest`, newest first. */
const run = (oldest: number, newest: number, kind = 'T') =>
  Array.from({ length: newest - oldest + 1 }, (_, i) => item(at(newest - i), `${kind}${newest - i}`))

const weeks = 21 * 24 * 60
const nullTrack = (minutes: number) => ({ ...item(at(minutes), 'x'), track: null })
const rejected = (minutes: number) => item(at(minutes), '', { track: { ...track('R'), id: null, uri: null } })
const timeless = { track: track('timeless'), context: null }
const twoSides = [run(1, 50), run(151, 200)]

type Pages = unknown[][]
const cases = {
  'overlapping times': [...twoSides, run(40, 160, 'other')],
  'wide gap': [...twoSides, run(50, 99), run(99, 148), run(148, 197)],
  'wide gap, other order': [...twoSides, run(148, 197), run(50, 99), run(99, 148)],
  inside: [...twoSides, run(91, 140)],
  edges: [...twoSides, run(50, 70), run(130, 151)],
  ancient: [...twoSides, [...run(180, 228), item(0, 'ancient')]],
  'null track': [
    [nullTrack(50), ...run(1, 49)],
    [...run(51, 99), nullTrack(50)],
  ],
  rejected: [
    [rejected(50), ...run(1, 49)],
    [...run(51, 99), rejected(50)],
  ],
  timeless: [
    [timeless, ...run(1, 49)],
    [...run(60, 108), timeless],
  ],
  'short pages': [run(1, 43), run(50, 97)],
  weeks: [run(1, 50), [...run(weeks, weeks + 48), ...run(50, 50)]],
} satisfies Record<string, Pages>
type Case = keyof typeof cases

const userOf = (name: Case) => Object.keys(cases).indexOf(name) + 1
const fastClock = 50

beforeAll(async () => {
  stream = await createStream()
  postgres = stream.openPostgres(1)
  kafka = (await stream.openKafka()).kafka
})
afterAll(async () => {
  await stream?.release()
})

async function publish(user: number, items: readonly unknown[], fetchedAt = at(2 * weeks)): Promise<void> {
  const page = { endpoint: 'recently-played', subject: String(user), source: 'poll', status: 200 }
  const value = { ...page, fetchedAt, body: pageBody(items) }
  await kafka.publish(stream.topology.recentlyPlayed, [{ key: String(user), value }])
}

/** Open gaps of a user, in minutes. */
async function gapsOf(user: number): Promise<number[][]> {
  const { rows } = await postgres.query<{ after: Date; before: Date }>(
    'select after, before from gaps where user_id = $1 and closed_at is null order by after',
    [user],
  )
  return rows.map((row) => [row.after, row.before].map((time) => (time.getTime() - start) / minute))
}
const gaps = (name: Case) => gapsOf(userOf(name))

test('what there is: pages of all cases, loaded by a running loader', async () => {
  const loader = await startService('loader', { ...stream.env, LOG_LEVEL: 'info' })
  for (const [name, pages] of Object.entries(cases)) {
    for (const page of pages) await publish(userOf(name as Case), page)
  }
  await publish(fastClock, [item(at(300), 'ahead'), ...run(1, 50)], at(50))
  await publish(fastClock, [...run(301, 320), item(at(300), 'ahead'), ...run(271, 299)], at(321))
  const admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  await until(async () => {
    const { partitions } = await admin.readGroupLag(stream.topology.groups.loaderHistory, [
      stream.topology.recentlyPlayed.name,
    ])
    return partitions.every((p) => p.lag === 0)
  }, 'everything is loaded')
  await admin.close()
  await loader.stop()
}, 120_000)

describe('a gap', () => {
  test('does not close because a page covers its time', async () => {
    expect(await gaps('overlapping times')).toEqual([
      [50, 51],
      [160, 161],
    ])
  })

  test('closes though no page covers it whole, and the page that closed it is kept', async () => {
    expect(await gaps('wide gap')).toEqual([])
    expect(await gaps('wide gap, other order')).toEqual([])
    const { rows } = await postgres.query(
      'select closed_by_source from gaps where user_id = any ($1) and closed_by_offset is null',
      [[userOf('wide gap'), userOf('wide gap, other order')]],
    )
    expect(rows).toEqual([])
  })

  test('is split by a page inside it into two that do not overlap', async () => {
    expect(await gaps('inside')).toEqual([
      [50, 91],
      [140, 151],
    ])
  })

  test('moves where pages touch its edges', async () => {
    expect(await gaps('edges')).toEqual([[70, 130]])
  })

  test('is not closed by one ancient time', async () => {
    expect(await gaps('ancient')).toEqual([[50, 151]])
  })

  test('is not hidden by a play of a fast clock, once its time has come', async () => {
    expect(await gapsOf(fastClock)).toEqual([[50, 271]])
  })

  test('is found between pages of fewer than 50 items', async () => {
    expect(await gaps('short pages')).toEqual([[43, 50]])
  })

  test('is not where pages share a null track, a rejected item or one that says no time', async () => {
    expect(await gaps('null track')).toEqual([])
    expect(await gaps('rejected')).toEqual([])
    expect(await gaps('timeless')).toEqual([])
  })

  test('is not where a listener comes back after weeks', async () => {
    expect(await gaps('weeks')).toEqual([])
  })
})
