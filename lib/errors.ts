/**
 * An outage: the same work will succeed later, and no record is to blame. The consumer pauses the partition and tries
 * again with backoff; nothing is dead-lettered.
 */
export class RetriableError extends Error {
  /** The delay in milliseconds before the next try, or null if the caller's own backoff applies. */
  readonly retryAfterMs: number | null

  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, { cause: options.cause })
    this.name = 'RetriableError'
    this.retryAfterMs = options.retryAfterMs ?? null
  }
}

/** An error that pure code threw over records: it throws again each time it gets them. */
class RecordFault extends Error {
  constructor(cause: unknown) {
    super(messageOf(cause), { cause })
    this.name = 'RecordFault'
  }
}

/**
 * Runs pure code (decoding, transforming) over records. An error that it throws is the fault of those records, also
 * within an effect.
 */
export function overRecords<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new RecordFault(error)
  }
}

/**
 * Classes of SQLSTATE with which Postgres refuses the values in a statement;
 * https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
const refusedSqlClasses: ReadonlyMap<string, string> = new Map([
  ['21', 'cardinality violation: one row twice in a statement'],
  ['22', 'data exception: a number out of range, a NUL in a text'],
  ['23', 'integrity constraint violation'],
  ['54', 'program limit exceeded: a value too long for an index'],
])

/** Kafka's errors for records that it always refuses. */
const refusedByKafka: ReadonlyMap<string, string> = new Map([
  ['MESSAGE_TOO_LARGE', 'longer than max.message.bytes of the topic'],
  ['RECORD_LIST_TOO_LARGE', 'longer than a segment of the topic'],
  ['INVALID_RECORD', 'without a key in a compacted topic'],
])

/** Postgres ends the session after these, so they are about the connection, with any SQLSTATE. */
const endsSession: ReadonlySet<unknown> = new Set(['FATAL', 'PANIC'])

/**
 * Whether records are to blame for an error: pure code threw it over them ({@link overRecords}), or Postgres or Kafka
 * refuses their content. Every other error of an effect counts as an outage, also an unknown one: waiting harms no
 * record.
 */
export function isRecordFault(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof RetriableError) return false
  if (error instanceof RecordFault) return true
  const { code, type, severity } = error as { code?: unknown; type?: unknown; severity?: unknown }
  if (typeof type === 'string' && refusedByKafka.has(type)) return true
  if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code))
    return refusedSqlClasses.has(code.slice(0, 2)) && !endsSession.has(severity)
  return isRecordFault(error.cause)
}

/** Classes of SQLSTATE that are about the server, its schema or its permissions, and not about a statement's values. */
const serversOwnSqlClasses: ReadonlyMap<string, string> = new Map([
  ['08', 'connection exception'],
  ['25', 'invalid transaction state: a server that only reads'],
  ['26', 'a prepared statement that a pooler has lost'],
  ['28', 'invalid authorization'],
  ['3D', 'a database that is missing'],
  ['3F', 'a schema that is missing'],
  ['42', 'a table or column that is missing, a right that was taken'],
  ['53', 'insufficient resources: disk, memory, connections'],
  ['58', 'system error: a file that cannot be read'],
])

/** The same for Kafka, by its names. */
const serversOwnKafkaTypes: ReadonlyMap<string, string> = new Map([
  ['TOPIC_AUTHORIZATION_FAILED', 'a right that was taken'],
  ['CLUSTER_AUTHORIZATION_FAILED', 'a right that was taken'],
  ['UNKNOWN_TOPIC_OR_PARTITION', 'a topic that is missing'],
  ['NOT_ENOUGH_REPLICAS', 'brokers that are away'],
  ['INVALID_TIMESTAMP', 'a clock that is wrong, here or there'],
])

/** The same for S3, by its names: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
const serversOwnS3Names: ReadonlyMap<string, string> = new Map([
  ['AccessDenied', 'a right that was taken'],
  ['AccountProblem', 'an account that may do nothing'],
  ['AllAccessDisabled', 'an account that may do nothing'],
  ['CredentialsProviderError', 'credentials that are missing'],
  ['ExpiredToken', 'credentials that are over'],
  ['InvalidAccessKeyId', 'a key that is not known'],
  ['InvalidBucketName', 'a bucket that cannot be'],
  ['InvalidSecurity', 'credentials that are wrong'],
  ['InvalidToken', 'credentials that are wrong'],
  ['NoSuchBucket', 'a bucket that is missing'],
  ['QuotaExceeded', 'a store that is full'],
  ['RequestTimeTooSkewed', 'a clock that is wrong, here or there'],
  ['SignatureDoesNotMatch', 'a secret that is wrong'],
])

/** Stores have different names for a missing permission, but this one HTTP status. */
const forbidden = 403

/**
 * Whether an error means that the server fails for every request, even if it answers a probe: then no record is
 * suspected. Any other error, such as a statement timeout, may be due to one record.
 */
export function isServersOwnFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, type, $metadata } = error as {
    code?: unknown
    type?: unknown
    $metadata?: { httpStatusCode?: number }
  }
  if (typeof type === 'string' && serversOwnKafkaTypes.has(type)) return true
  if (serversOwnS3Names.has(error.name) || $metadata?.httpStatusCode === forbidden) return true
  if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) {
    const { severity } = error as { severity?: unknown }
    return serversOwnSqlClasses.has(code.slice(0, 2)) || endsSession.has(severity)
  }
  return isServersOwnFault(error.cause)
}

/** A server that this process depends on. */
export interface Server {
  /** Lower case with hyphens: `postgres`, `kafka`, `object-store`, `schema-registry`. */
  name: string
  /** Sends a cheap request. @throws when the server does not answer */
  probe: () => Promise<unknown>
}

const servers = new WeakMap<Error, Server>()

/** Notes which server an error came from, unless that is known. Returns the error, for the caller to throw. */
export function from(server: Server, error: unknown): unknown {
  if (error instanceof Error && !serverOf(error)) servers.set(error, server)
  return error
}

/** Runs a call to a server. An error that it throws carries the server. */
export async function calling<T>(server: Server, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw from(server, error)
  }
}

/** The server that an error, or its cause, came from, or null if none was noted. */
export function serverOf(error: unknown): Server | null {
  if (!(error instanceof Error)) return null
  return servers.get(error) ?? serverOf(error.cause)
}

const linkFailures = /^(ECONN|ENET|EHOST|EADDR|EAI_|UND_ERR_)|^(ENOTFOUND|EPIPE|ETIMEDOUT)$/

/**
 * Whether an error is known to come from a server or from the network. Only for messages at a terminal, which call
 * anything else a bug; services decide by {@link isRecordFault}.
 */
export function isKnownOutage(error: unknown): boolean {
  if (error instanceof RetriableError) return true
  if (!(error instanceof Error) || isRecordFault(error)) return false
  // Errors of the operating system and undici have a code; those of kafkajs say whether it would try again.
  const { code, retriable } = error as { code?: unknown; retriable?: unknown }
  if (retriable === true || linkFailures.test(String(code))) return true
  return serverOf(error) !== null || isKnownOutage(error.cause)
}

/** The message of a thrown value, which need not be an Error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
