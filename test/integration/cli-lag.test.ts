import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { Topic } from '../../lib/topology.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import { runSongswap, startSongswap } from '../support/songswap.ts'
import { until } from '../support/until.ts'

let stream: Stream
let kafka: Kafka
beforeAll(async () => {
  stream = await createStream()
})
afterAll(() => stream?.release())
beforeEach(async () => {
  kafka = (await stream.openKafka()).kafka
  return () => kafka.close()
})

interface Standing {
  group: string
  lag: number
  lagMs: number | null
  verdict: string
  members: { clientId: string; assigned: { topic: string; partitions: number[] }[] }[]
  partitions: { partition: number; lag: number; lagMs: number | null; verdict: string }[]
}

async function lag(code: number, ...args: string[]): Promise<Standing> {
  const ended = await runSongswap(['lag', '--json', '--for', '2', ...args], stream.env)
  expect(ended.code, ended.stderr).toBe(code)
  return JSON.parse(ended.stdout).groups[0]
}

/** One sample with any verdict, to wait for a change. */
async function sample(group: string): Promise<Standing> {
  const { stdout } = await runSongswap(['lag', group, '--json', '--for', '0'], stream.env)
  return JSON.parse(stdout).groups[0]
}

const hourMs = 3_600_000
const put = (topic: Topic, partition: number, ageMs: number) =>
  kafka.publishBytes(topic.name, [
    { key: 'k', value: Buffer.from('x'), partition, timestamp: Date.now() - ageMs },
  ])

/** Consumes, and settles its records or (`holds`) never does. */
function consume(group: string, topic: Topic, holds: boolean): Promise<void> {
  return kafka.consumeInto<unknown>({
    group,
    topics: [topic],
    open: () => ({
      write: async (records) => ({
        through: holds ? null : (records.at(-1)?.offset ?? null),
        deadLetters: [],
      }),
      tick: async () => ({ through: null, deadLetters: [] }),
      close: async () => undefined,
    }),
  })
}

describe('verdicts', () => {
  test('stop: records wait and nobody is there; ok once somebody has read them', async () => {
    const { metadata, groups } = stream.topology
    await put(metadata, 2, hourMs)
    await put(metadata, 2, 1000)
    const stopped = await lag(1, 'loader.metadata')
    expect(stopped).toMatchObject({ group: groups.loaderMetadata, lag: 2, verdict: 'stop', members: [] })
    // The age is that of the oldest record, by its timestamp.
    expect(stopped.lagMs).toBeGreaterThanOrEqual(hourMs)
    expect(stopped.lagMs).toBeLessThan(hourMs + 300_000)
    expect(stopped.partitions.filter((p) => p.lag > 0)).toMatchObject([{ partition: 2, verdict: 'stop' }])

    await consume(groups.loaderMetadata, metadata, false)
    await until(async () => (await sample('loader.metadata')).lag === 0, 'all is read')
    const read = await lag(0, 'loader.metadata')
    expect(read).toMatchObject({ lag: 0, lagMs: 0, verdict: 'ok' })
    expect(read.members.map((m) => m.assigned)).toEqual([
      [{ topic: metadata.name, partitions: [0, 1, 2, 3, 4, 5] }],
    ])
  })

  test('stall: members, and an old record that nobody settles', async () => {
    const { recentlyPlayed, groups } = stream.topology
    await put(recentlyPlayed, 4, hourMs)
    await consume(groups.loaderHistory, recentlyPlayed, true)
    await until(
      async () => (await lag(0, 'loader.history', '--for', '0')).members.length > 0,
      'it has joined',
    )
    expect(await lag(1, 'loader.history')).toMatchObject({ verdict: 'stall', lag: 1 })
    // One sample alone is not enough for a verdict.
    expect(await lag(0, 'loader.history', '--for', '0')).toMatchObject({ verdict: 'unknown' })
  })

  test('a dead letter waits since its death, whatever its original is from', async () => {
    const { deadLetters, groups } = stream.topology
    await kafka.publishBytes(deadLetters.name, [
      {
        ...{ key: 'k', value: Buffer.from('x'), timestamp: Date.now() - 20 * 24 * hourMs },
        headers: [{ name: 'dlq.at', value: Buffer.from(String(Date.now() - 5_000)) }],
      },
    ])
    await consume(groups.alerter, deadLetters, true)
    await until(async () => (await sample('alerter')).members.length > 0, 'it has joined')
    const standing = await lag(0, 'alerter')
    expect(standing.verdict).toBe('ok')
    expect(standing.lagMs).toBeLessThan(120_000)
  })
})

test('moves no offset and leaves no group behind', async () => {
  await put(stream.topology.metadataWanted, 0, hourMs)
  await lag(1, 'enricher')
  const { code, stderr } = await runSongswap(['lag', '.lag-'], stream.env)
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('There is no group') })
  const shown = await runSongswap(['offsets', 'export', 'enricher'], stream.env)
  expect(shown.stdout).toBe('')
})

test('the screen fits 80 columns', async () => {
  const { stdout } = await runSongswap(['lag', '--all', '--for', '0'], stream.env)
  expect(stdout).toContain('VERDICT')
  expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
})

test('--watch shows one sample after the other, and ends with 0 on Ctrl-C', async () => {
  const running = startSongswap(['lag', '--watch', '--interval', '1', '--json'], stream.env)
  await running.says(/("verdict"[^\n]*\n[^\n]*"verdict"[^\n]*\n)/)
  running.interrupt()
  const { code, stdout } = await running.ended
  expect(code).toBe(0)
  for (const line of stdout.trim().split('\n')) expect(JSON.parse(line).groups).toHaveLength(5)
})

test('Kafka that is away is told in one sentence', async () => {
  const { code, stderr } = await runSongswap(['lag'], { ...stream.env, KAFKA_BROKERS: '127.0.0.1:1' })
  expect(code).toBe(1)
  expect(stderr).toContain('Kafka at 127.0.0.1:1 does not answer')
})
