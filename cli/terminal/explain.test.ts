import { expect, test } from 'vitest'
import { ConfigError } from '../../lib/config.ts'
import { RetriableError } from '../../lib/errors.ts'
import { OperatorFault } from '../../operations/fault.ts'
import { explain } from './explain.ts'

const refused = Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' })
const noTable = Object.assign(new Error('relation "users" does not exist'), { code: '42P01' })

test.each([
  [
    'what a command knows',
    new OperatorFault('No user 9', 'songswap users list'),
    1,
    'No user 9\n  songswap users list',
  ],
  [
    'what an operator typed',
    new OperatorFault('No user "\u001b[31m9"', 'songswap users list'),
    1,
    'No user "\u{fffd}[31m9"',
  ],
  [
    'wrong usage',
    new OperatorFault('Nothing given', 'give one', { code: 'usage' }),
    2,
    'Nothing given\n  give one',
  ],
  ['wrong settings', new ConfigError(['DATABASE_URL: is missing']), 2, 'DATABASE_URL: is missing'],
  ['an old database', noTable, 1, 'npm run migrate'],
  ['an outage', new RetriableError('Kafka at a:1 does not answer'), 1, 'Kafka at a:1 does not answer'],
  ['a refused connection without a message', refused, 1, 'ECONNREFUSED'],
  ['a bug', new TypeError('x is not a function'), 1, 'a bug in songswap'],
])('%s is told with its exit code', (_what, error, exitCode, words) => {
  const explained = explain(error)
  expect(explained.exitCode).toBe(exitCode)
  expect(explained.text).toContain(words)
})

test('no secret gets out with an error', () => {
  const error = new Error('connect postgres://me:hunter2@db/x failed, refresh_token=AQabc, Bearer xyz')
  expect(explain(error).text).not.toMatch(/hunter2|AQabc|xyz/)
})
