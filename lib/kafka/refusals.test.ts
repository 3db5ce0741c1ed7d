import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { isRecordFault } from '../errors.ts'

interface ProtocolErrors {
  errorCodes: { code: number; type: string }[]
  createErrorFromCode: (code: number) => Error
}

const protocol: ProtocolErrors = createRequire(import.meta.url)('kafkajs/src/protocol/error.js')

test('of all that a broker may answer three say no to the records themselves; the rest is an outage', () => {
  const refused = protocol.errorCodes.filter(({ code }) => isRecordFault(protocol.createErrorFromCode(code)))
  expect(protocol.errorCodes.length).toBeGreaterThan(80)
  expect(refused.map(({ type }) => type).toSorted()).toEqual([
    'INVALID_RECORD',
    'MESSAGE_TOO_LARGE',
    'RECORD_LIST_TOO_LARGE',
  ])
})
