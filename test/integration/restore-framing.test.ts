import { afterAll, beforeAll, expect, test } from 'vitest'
import { rowSchema } from '../../lib/archive/row.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { subjectOf } from '../../lib/topology.ts'
import type { Row } from '../../operations/rerun/archive-rows.ts'
import { openFraming } from '../../operations/rerun/framing.ts'
import type { Stream } from '../support/kafka.ts'
import { createStream } from '../support/kafka.ts'
import type { S3Gate } from '../support/s3-faults.ts'
import { openS3Gate } from '../support/s3-faults.ts'

/* Bytes of restored values, with a real registry behind a gate. */

let stream: Stream
let gate: S3Gate

beforeAll(async () => {
  stream = await createStream()
  gate = await openS3Gate(stream.config.registryUrl)
})
afterAll(async () => {
  await gate.close()
  await stream.release()
})

test('a look-up that failed once is made again, and gives the bytes that lay in the topic', async () => {
  const { recentlyPlayed } = stream.topology
  const value: SpotifyResponse = {
    ...{ endpoint: 'recently-played', subject: '7', source: 'poll' },
    ...{ fetchedAt: 5, status: 200, body: Buffer.from('{}') },
  }
  const row: Row = {
    ...{ topic: recentlyPlayed.name, partition: 0, offset: 0, timestamp: 5 },
    ...{ key: Buffer.from('7'), headers: [], value, raw: null },
  }
  const url = new URL(stream.config.registryUrl)
  const framing = openFraming(`${gate.endpoint}${url.pathname}`, subjectOf(recentlyPlayed))
  const bytes = () => framing.toBytes(row, rowSchema(recentlyPlayed.schema))
  const written = await stream.codec.encode(recentlyPlayed, value)

  gate.onRequest = () => ({ type: 'status', status: 503, code: 'Away' })
  await expect(bytes()).rejects.toMatchObject({ name: 'RetriableError' })
  gate.onRequest = () => null
  expect(await bytes()).toEqual(written)
})
