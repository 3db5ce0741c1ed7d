import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { stepClock } from '../../test/support/step-clock.ts'
import './kafkajs-patches.ts'

interface FetchResponse {
  responses: { topicName: string; partitions: { errorCode: number; messages: { fault?: Error }[] }[] }[]
}

const load = createRequire(import.meta.url)
const { errorCodes }: { errorCodes: { code: number; type: string }[] } = load('kafkajs/src/protocol/error.js')
const codeOf = (name: string) => errorCodes.find(({ type }) => type === name)?.code ?? 0

/** Parses a broker's answer whose first partition holds an error, as kafkajs does. */
async function parse(version: number, name: string): Promise<(Error | undefined)[]> {
  const response: { parse: (data: FetchResponse) => Promise<FetchResponse> } = load(
    `kafkajs/src/protocol/requests/fetch/v${version}/response.js`,
  )
  const partitions = [codeOf(name), 0].map((errorCode) => ({ errorCode, messages: [] }))
  const { responses } = await response.parse({ responses: [{ topicName: 't', partitions }] })
  return responses[0]?.partitions.map(({ messages }) => (messages as { fault?: Error }).fault) ?? []
}

test.each(['UNKNOWN', 'CORRUPT_MESSAGE', 'KAFKA_STORAGE_ERROR'])(
  'what a broker cannot read of one partition (%s) is the fault of that partition only',
  async (name) => {
    for (const version of [4, 7, 11]) {
      const [first, second] = await parse(version, name)
      expect(first).toMatchObject({ type: name })
      expect(second).toBeUndefined()
    }
  },
)

test.each(['NOT_LEADER_FOR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION', 'OFFSET_OUT_OF_RANGE'])(
  'what kafkajs can deal with itself (%s) stays an error of the request',
  async (name) => {
    await expect(parse(11, name)).rejects.toThrow()
  },
)

test.each([
  ['network/requestQueue/socketRequest.js', 'sentAt'],
  ['network/requestQueue/index.js', 'throttledUntil'],
  ['consumer/consumerGroup.js', 'lastRequest'],
  ['cluster/brokerPool.js', 'metadataExpireAt'],
])('a clock that steps back does not move what %s keeps as %s', (file, name) => {
  const { prototype } = load(`kafkajs/src/${file}`)
  const kept: Record<string, number> = Object.create(prototype)
  kept[name] = Date.now()
  const stepForth = stepClock(-3_600_000)
  try {
    expect(Math.abs(Date.now() - (kept[name] ?? 0))).toBeLessThan(1_000)
  } finally {
    stepForth()
  }
})
