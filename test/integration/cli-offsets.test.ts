import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Admin } from '../../lib/kafka/admin.ts'
import { openAdmin } from '../../lib/kafka/admin.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { runSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

let stream: Stream
let kafka: Kafka
let admin: Admin
let topic: string
let folder: string
const group = () => stream.topology.groups.enricher
const minuteAgo = (minutes: number) => Date.now() - minutes * 60_000

beforeAll(async () => {
  stream = await createStream()
  kafka = (await stream.openKafka()).kafka
  admin = await openAdmin({ config: stream.config, log: stream.log, name: 'test' })
  folder = await mkdtemp(join(tmpdir(), 'songswap-offsets-'))
  topic = stream.topology.metadataWanted.name
  // Partition 0: ten records, an hour apart, the newest one minute old. Partition 1: three. The others: none.
  const at = (i: number) => minuteAgo(1 + (9 - i) * 60)
  const put = (partition: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({
      ...{ key: `track:${i}`, value: Buffer.from('x'), partition, timestamp: at(i) },
    }))
  await kafka.publishBytes(topic, [...put(0, 10), ...put(1, 3)])
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await admin?.close()
  await stream?.release()
})

const offsets = (args: string[], input?: string) => runSongswap(['offsets', ...args], stream.env, input)
const committed = async () =>
  Object.fromEntries((await admin.readCommitted(group())).map((o) => [o.partition, o.offset]))

interface Outcome {
  executed: boolean
  moves: { partition: number; from: number | null; to: number; clamped: boolean }[]
}
async function reset(...args: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await offsets(['reset', 'enricher', ...args, '--json'])
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout)
}
const targets = (outcome: Outcome) => outcome.moves.map((m) => [m.partition, m.to, m.clamped])

test('moves only with --execute, only the partitions named, and a consumer begins there', async () => {
  const scope = ['--topic', 'metadata.wanted:0', '--topic', 'metadata.wanted:1']
  const plan = await reset(...scope, '--to-offset', '2')
  expect(plan).toMatchObject({ executed: false })
  expect(targets(plan)).toEqual([
    [0, 2, false],
    [1, 2, false],
  ])
  expect(await committed()).toEqual({})
  await reset(...scope, '--to-offset', '2', '--execute')
  expect(await committed()).toEqual({ 0: 2, 1: 2 })

  const { kafka: other } = await stream.openKafka('consumer')
  const seen: string[] = []
  await other.consumeInto<unknown>({
    group: group(),
    topics: [stream.topology.metadataWanted],
    open: () => ({
      write: async (records) => {
        seen.push(...records.map((r) => `${r.partition}/${r.offset}`))
        return { through: records.at(-1)?.offset ?? null, deadLetters: [] }
      },
      tick: async () => ({ through: null, deadLetters: [] }),
      close: async () => undefined,
    }),
  })
  await until(() => seen.length >= 9, 'what is behind the offsets is consumed')
  expect(seen.toSorted()).toEqual(
    [2, 3, 4, 5, 6, 7, 8, 9]
      .map((offset) => `0/${offset}`)
      .concat('1/2')
      .toSorted(),
  )
  await until(async () => (await committed())[0] === 10, 'it commits')

  const refused = await offsets(['reset', 'enricher', '--all-topics', '--to-earliest', '--execute'])
  expect(refused.code).toBe(1)
  for (const words of [
    '1 member',
    'consumer at',
    'docker compose stop enricher',
    'npm run service -- enricher',
  ])
    expect(refused.stderr).toContain(words)
  expect((await committed())[0]).toBe(10)
  await other.close()
})

describe('targets', () => {
  test.each([
    [['--to-earliest'], [0, 0]],
    [['--to-latest'], [10, 3]],
    [
      ['--to-offset', '5'],
      [5, 3],
    ],
    [
      ['--to-datetime', () => new Date(minuteAgo(150)).toISOString()],
      [7, 3],
    ],
    [
      ['--by-duration', 'PT150M'],
      [7, 3],
    ],
    [
      ['--by-duration', 'PT0S'],
      [10, 3],
    ],
  ])('%j', async (args, [first, second]) => {
    const plan = await reset(...['--topic', topic], ...args.map((a) => (typeof a === 'function' ? a() : a)))
    expect(plan.moves.slice(0, 2).map((m) => m.to)).toEqual([first, second])
    // An empty partition stays at its end for every choice.
    expect(plan.moves.slice(2).map((m) => m.to)).toEqual([0, 0, 0, 0])
  })

  test('--shift-by goes from where the group stands, as far as the topic reaches', async () => {
    const scope = ['--topic', `${topic}:0,1`]
    await reset(...scope, '--to-offset', '2', '--execute')
    expect(targets(await reset(...scope, '--shift-by', '+5'))).toEqual([
      [0, 7, false],
      [1, 3, true],
    ])
    expect(targets(await reset(...scope, '--shift-by', '-100'))).toEqual([
      [0, 0, true],
      [1, 0, true],
    ])
    const never = await offsets(['reset', 'alerter', '--all-topics', '--shift-by', '1'])
    expect(never.code).toBe(1)
    expect(never.stderr).toContain('never committed')
  })
})

test('an export is the CSV of kafka-consumer-groups, and an import moves the group back', async () => {
  await reset('--topic', `${topic}:0,1`, '--to-offset', '2', '--execute')
  const exported = await offsets(['export', 'enricher'])
  const mine = exported.stdout.split('\n').filter((line) => /,[01],/.test(line))
  expect(mine).toEqual([`${topic},0,2`, `${topic},1,2`])
  await reset('--all-topics', '--to-latest', '--execute')
  const file = join(folder, 'before.csv')
  await writeFile(file, exported.stdout)
  expect((await offsets(['import', 'enricher', file])).stderr).toContain('Nothing was changed')
  expect((await committed())[0]).toBe(10)
  expect((await offsets(['import', 'enricher', file, '--execute'])).code).toBe(0)
  expect(await committed()).toMatchObject({ 0: 2, 1: 2 })
  // As other tools write it: quotes, CRLF, an empty line.
  const quoted = `"${topic}",0,4\r\n\r\n`
  expect((await offsets(['import', 'enricher', '-', '--execute'], quoted)).code).toBe(0)
  expect(await committed()).toMatchObject({ 0: 4, 1: 2 })
})

test('show tells what topics have and groups committed', async () => {
  const { stdout } = await offsets(['show', 'enricher', '--json'])
  const [shown] = JSON.parse(stdout)
  expect(shown.partitions[0]).toMatchObject({ partition: 0, start: 0, end: 10, lag: expect.any(Number) })
  const human = await offsets(['show'])
  expect(human.stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  for (const name of Object.values(stream.topology.groups)) expect(human.stdout).toContain(name)
})

test.each([
  [['reset', 'enricher', '--to-latest'], '--all-topics or --topic'],
  [['reset', 'enricher', '--all-topics'], 'target is missing'],
  [['reset', 'enricher', '--all-topics', '--to-latest', '--to-earliest'], 'cannot be used with'],
  [['reset', 'enricher', '--all-topics', '--to-latest', '--execute', '--dry-run'], 'cannot be used with'],
  [['reset', 'stranger', '--all-topics', '--to-latest'], 'no group "stranger"'],
  [['reset', 'enricher', '--topic', 'nonsense', '--to-latest'], 'no topic nonsense'],
  [['reset', 'enricher', '--topic', 'metadata.wanted:77', '--to-latest'], 'no partition'],
  [['reset', 'enricher', '--all-topics', '--by-duration', '7d'], 'P7D'],
  [['reset', 'enricher', '--all-topics', '--to-datetime', 'yesterday'], '2026-11-24T08:15'],
  [['import', 'enricher', '/does/not/exist'], 'Cannot read'],
])('%j is wrong usage', async (args, words) => {
  const { code, stderr } = await offsets(args)
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(words) })
})

test('a CSV that is none is refused whole, line by line', async () => {
  const csv = `${topic},0,1\nnonsense\n${topic},0,9\n${topic},1,-5\n`
  const { code, stderr } = await offsets(['import', 'enricher', '-', '--execute'], csv)
  expect(code).toBe(2)
  for (const line of ['line 2', 'line 3', 'line 4']) expect(stderr).toContain(line)
})
