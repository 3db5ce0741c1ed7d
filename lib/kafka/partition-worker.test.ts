import { expect, test } from 'vitest'
import { RetriableError } from '../errors.ts'
import type { Notice } from '../events.ts'
import { openLog } from '../log.ts'
import { Outages } from '../outages.ts'
import type { WorkerOptions } from './partition-worker.ts'
import { PartitionWorker } from './partition-worker.ts'
import type { RawRecord } from './record.ts'
import type { PartitionSink } from './sink.ts'

const record: RawRecord = {
  ...{ topic: 't', partition: 0, offset: 0, timestamp: 0, key: null, headers: [], bytes: null },
}
const settled: PartitionSink<null> = {
  write: async () => ({ through: 0, deadLetters: [] }),
  tick: async () => ({ through: null, deadLetters: [] }),
  close: async () => undefined,
}

function startWorker(parts: Partial<WorkerOptions<null>>, sink = settled) {
  const notices: Notice[] = []
  const bugs: unknown[] = []
  const worker = new PartitionWorker<null>({
    ...{ group: 'g', topic: 't', partition: 0, open: () => sink },
    ...{ batchMaxRecords: 10, batchMaxBytes: 1_000, queueMaxBytes: 1_000, freesRecords: false },
    decode: async (raw) => ({ ...raw, decoded: { type: 'value', value: null, writer: null } }),
    inTurn: (work) => work(),
    publishDeadLetters: async () => undefined,
    commit: async () => undefined,
    outages: new Outages({ afterMs: 0, instance: 'test', notify: (notice) => notices.push(notice) }),
    ...{ heldUpAfterMs: 0, onHeldUp: () => undefined, onRoom: () => undefined },
    onBug: (error) => bugs.push(error),
    log: openLog('test', 'silent'),
    ...parts,
  })
  worker.start(Promise.resolve())
  worker.enqueue([record], 1)
  return { worker, notices, bugs }
}

test('waiting for its turn is no work in hand', async () => {
  const asked = Promise.withResolvers<void>()
  const turn = Promise.withResolvers<void>()
  const { worker } = startWorker({
    inTurn: async (work) => {
      asked.resolve()
      await turn.promise
      return work()
    },
  })
  await asked.promise
  expect(worker.busyForMs(performance.now() + 1_000_000)).toBe(0)
  turn.resolve()
  await worker.drain()
})

test('dead letters that Kafka refuses, whatever it says of them, are an outage', async () => {
  const refused = Object.assign(new Error('The record is too large'), { type: 'MESSAGE_TOO_LARGE' })
  const { worker, notices } = startWorker({ publishDeadLetters: () => Promise.reject(refused) })
  await expect.poll(() => notices).toMatchObject([{ type: 'dependency_down', severity: 'critical' }])
  await worker.drain()
})

test('commits that keep failing are an outage, which ends when one is taken', async () => {
  let isAway = true
  const { worker, notices } = startWorker({
    async commit() {
      if (isAway) throw new Error('no coordinator')
    },
  })
  await expect.poll(() => notices).toMatchObject([{ type: 'dependency_down', severity: 'critical' }])
  isAway = false
  await expect.poll(() => notices, { timeout: 5_000 }).toHaveLength(2)
  expect(notices[1]).toMatchObject({ state: 'resolved' })
  await worker.drain()
})

test('a generation that ends before its turn comes is past nothing', async () => {
  const states: string[] = []
  const asked = Promise.withResolvers<void>()
  const turn = Promise.withResolvers<void>()
  let turns = 0
  const failing = { ...settled, write: () => Promise.reject(new RetriableError('no')) }
  const { worker, bugs } = startWorker(
    {
      inTurn: async (work) => {
        if (turns++ > 0) {
          asked.resolve()
          await turn.promise
        }
        return work()
      },
      onHeldUp: () => states.push('raised'),
    },
    failing,
  )
  await asked.promise
  const ended = worker.drain()
  turn.resolve()
  await ended
  expect(states).toEqual(['raised'])
  expect(bugs).toEqual([])
})
