import { getSystemErrorMap } from 'node:util'
import { describe, expect, test } from 'vitest'
import { sqlStates } from '../test/support/sql-states.ts'
import {
  calling,
  isKnownOutage,
  isRecordFault,
  isServersOwnFault,
  overRecords,
  RetriableError,
  serverOf,
} from './errors.ts'

const withFields = (fields: object) => Object.assign(new Error('refused'), fields)
const blamed = ['21', '22', '23', '54']

describe('SQLSTATEs of Postgres', () => {
  test.each(Object.entries(sqlStates))('class %s', (sqlClass, codes) => {
    for (const code of codes.split(' ')) {
      const error = withFields({ code, severity: 'ERROR' })
      expect(isRecordFault(error), code).toBe(blamed.includes(sqlClass))
      expect(isRecordFault(new Error('wrapped', { cause: error })), code).toBe(blamed.includes(sqlClass))
    }
  })

  test.each(['FATAL', 'PANIC'])(
    '%s ends the session: it is about the connection, whatever its class',
    (severity) => {
      for (const code of Object.values(sqlStates).flatMap((codes) => codes.split(' ')))
        expect(isRecordFault(withFields({ code, severity })), code).toBe(false)
    },
  )

  test('a code that is in no appendix is an outage', () => {
    for (const code of ['99999', 'ZZ000', 'QX001']) expect(isRecordFault(withFields({ code }))).toBe(false)
  })
})

/** https://nodejs.org/api/tls.html#x509-certificate-error-codes, and what OpenSSL says of a handshake. */
const tlsCodes = `UNABLE_TO_GET_ISSUER_CERT UNABLE_TO_GET_CRL UNABLE_TO_DECRYPT_CERT_SIGNATURE
  UNABLE_TO_DECRYPT_CRL_SIGNATURE UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY CERT_SIGNATURE_FAILURE CRL_SIGNATURE_FAILURE
  CERT_NOT_YET_VALID CERT_HAS_EXPIRED CRL_NOT_YET_VALID CRL_HAS_EXPIRED ERROR_IN_CERT_NOT_BEFORE_FIELD
  ERROR_IN_CERT_NOT_AFTER_FIELD ERROR_IN_CRL_LAST_UPDATE_FIELD ERROR_IN_CRL_NEXT_UPDATE_FIELD OUT_OF_MEM
  DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_GET_ISSUER_CERT_LOCALLY
  UNABLE_TO_VERIFY_LEAF_SIGNATURE CERT_CHAIN_TOO_LONG CERT_REVOKED INVALID_CA PATH_LENGTH_EXCEEDED INVALID_PURPOSE
  CERT_UNTRUSTED CERT_REJECTED HOSTNAME_MISMATCH ERR_TLS_CERT_ALTNAME_INVALID ERR_TLS_HANDSHAKE_TIMEOUT
  ERR_SSL_WRONG_VERSION_NUMBER ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION EPROTO`

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and names of the SDK's own. */
const s3Names = `AccessDenied AccountProblem AllAccessDisabled AuthorizationHeaderMalformed BadDigest BucketAlreadyExists
  ConditionalRequestConflict CredentialsProviderError EntityTooLarge ExpiredToken IllegalLocationConstraintException
  IncompleteBody InternalError InvalidAccessKeyId InvalidArgument InvalidBucketName InvalidBucketState InvalidDigest
  InvalidObjectState InvalidPayer InvalidRequest InvalidSecurity InvalidToken KeyTooLongError KMS.DisabledException
  MalformedXML MetadataTooLarge MethodNotAllowed MissingContentLength NetworkingError NoSuchBucket NoSuchUpload
  NotImplemented OperationAborted PermanentRedirect PreconditionFailed QuotaExceeded Redirect RequestExpired
  RequestTimeout RequestTimeTooSkewed ServiceUnavailable SignatureDoesNotMatch SlowDown TemporaryRedirect
  TimeoutError TokenRefreshRequired Unknown UnknownError UserKeyMustBeSpecified XAmzContentSHA256Mismatch`

describe('everything else that an effect throws is an outage', () => {
  test('errors of the operating system', () => {
    for (const [code] of getSystemErrorMap().values())
      expect(isRecordFault(withFields({ code })), code).toBe(false)
  })

  test('errors of TLS', () => {
    for (const code of tlsCodes.split(/\s+/)) expect(isRecordFault(withFields({ code })), code).toBe(false)
  })

  test('errors of the object store', () => {
    for (const name of s3Names.split(/\s+/)) {
      for (const httpStatusCode of [undefined, 307, 400, 403, 404, 412, 500, 503])
        expect(isRecordFault(withFields({ name, $metadata: { httpStatusCode } })), name).toBe(false)
    }
  })

  test.each([
    ['a TypeError of a driver', new TypeError("Cannot read properties of undefined (reading 'name')")],
    ['a pool that is closed', new Error('Cannot use a pool after calling end on the pool')],
    ['no Error at all', 'oops'],
    ['nothing', undefined],
    ['several at once', new AggregateError([withFields({ code: '22001' })])],
    [
      'what a module takes for an outage, whatever its cause',
      new RetriableError('x', { cause: withFields({ code: '22001' }) }),
    ],
  ])('%s', (_what, error) => {
    expect(isRecordFault(error)).toBe(false)
  })
})

test.each([
  ['a table that is missing', withFields({ code: '42P01' }), true],
  ['a right that was taken', withFields({ code: '42501' }), true],
  ['a schema that is missing', withFields({ code: '3F000' }), true],
  ['a server that only reads', withFields({ code: '25006' }), true],
  ['a disk that is full', withFields({ code: '53100' }), true],
  ['a pooler that ends the session', withFields({ code: 'XX000', severity: 'FATAL' }), true],
  ['a bucket that may not be written', withFields({ name: 'AccessDenied' }), true],
  ['a store that refuses in its own words', withFields({ $metadata: { httpStatusCode: 403 } }), true],
  ['a bucket that is missing', withFields({ name: 'NoSuchBucket' }), true],
  ['a secret that is wrong', withFields({ name: 'SignatureDoesNotMatch' }), true],
  [
    'an object that is too large',
    withFields({ name: 'EntityTooLarge', $metadata: { httpStatusCode: 400 } }),
    false,
  ],
  ['a store that is busy', withFields({ name: 'SlowDown', $metadata: { httpStatusCode: 503 } }), false],
  ['a topic that may not be written', withFields({ type: 'TOPIC_AUTHORIZATION_FAILED' }), true],
  ['its cause', new RetriableError('x', { cause: withFields({ code: '42P01' }) }), true],
  ['a trigger that raises', withFields({ code: 'P0001', severity: 'ERROR' }), false],
  ['a statement that takes too long', withFields({ code: '57014', severity: 'ERROR' }), false],
  ['an index that is damaged', withFields({ code: 'XX002', severity: 'ERROR' }), false],
  ['a broken link', withFields({ code: 'EPIPE' }), false],
  ['a bug of a driver', new TypeError('x is not a function'), false],
])('whether a server is at fault whatever it is sent: %s', (_what, error, isOwn) => {
  expect(isServersOwnFault(error)).toBe(isOwn)
})

test('what pure code throws over records is their fault, whatever it is', () => {
  const bugs = [new TypeError('x is not a function'), withFields({ code: 'ECONNREFUSED' }), 'oops']
  for (const bug of bugs) {
    const throws = () =>
      overRecords(() => {
        throw bug
      })
    expect(throws).toThrow(bug instanceof Error ? bug.message : bug)
    try {
      throws()
    } catch (error) {
      expect(isRecordFault(error)).toBe(true)
      expect(isRecordFault(new Error('wrapped', { cause: error }))).toBe(true)
    }
  }
})

test('an error keeps the server that it came from first, through those that wrap it', async () => {
  const inner = { name: 'postgres', probe: async () => undefined }
  const outer = { name: 'kafka', probe: async () => undefined }
  const fail = () => calling(inner, () => Promise.reject(new Error('down')))
  const error = await calling(outer, fail).catch((e) => e)
  expect(serverOf(error)).toBe(inner)
  expect(serverOf(new RetriableError('later', { cause: error }))).toBe(inner)
  expect(serverOf(new Error('of nobody'))).toBe(null)
  expect(serverOf('oops')).toBe(null)
})

test.each([
  ['an outage that a module names', new RetriableError('away'), true],
  ['a broken link', withFields({ code: 'ECONNRESET' }), true],
  ['what kafkajs would try again', withFields({ retriable: true }), true],
  ['a cause', new Error('x', { cause: withFields({ code: 'UND_ERR_SOCKET' }) }), true],
  ['a missing file', withFields({ code: 'ENOENT' }), false],
  ['a bug', new TypeError('x is not a function'), false],
  ['the fault of a record', withFields({ code: '22001' }), false],
])('for a person at a terminal: %s', (_what, error, isKnown) => {
  expect(isKnownOutage(error)).toBe(isKnown)
})
