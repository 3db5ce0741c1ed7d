/**
 * An outage: what failed will work later, nobody's data are to blame. The consumer pauses the partition and
 * tries again with backoff; nothing is dead-lettered.
 */
export class RetriableError extends Error {
  /** When to try again at the earliest, as a delay in milliseconds; absent: the caller's own backoff. */
  readonly retryAfterMs: number | null

  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, { cause: options.cause })
    this.name = 'RetriableError'
    this.retryAfterMs = options.retryAfterMs ?? null
  }
}

/** SQLSTATEs that mean "later", by class or code; https://www.postgresql.org/docs/18/errcodes-appendix.html */
const retriableSqlStates: readonly [string, string][] = [
  ['08', 'connection exception'],
  ['53', 'insufficient resources: disk full, out of memory, too many connections'],
  ['57P01', 'admin shutdown'],
  ['57P02', 'crash shutdown'],
  ['57P03', 'cannot connect now'],
  ['57P05', 'idle session timeout'],
  ['57014', 'query canceled: statement timeout'],
  ['55P03', 'lock not available'],
  ['58030', 'I/O error'],
  ['25006', 'read-only transaction: the server is a standby for now'],
  ['40001', 'serialization failure'],
  ['40P01', 'deadlock detected'],
  ['3D000', 'the database is not there yet'],
  ['28', 'the server refuses this login: a rotated password, a pg_hba under change'],
]

/** Codes of the operating system, of undici and of the AWS SDK that mean "the other side is not there now". */
const retriableCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
])

/** pg throws these without a code when a connection dies under a query or the pool cannot get one. */
const retriableMessages = [
  'Connection terminated',
  'timeout exceeded when trying to connect',
  'Client has encountered a connection error',
  'Query read timeout',
]

/**
 * Whether an error is an outage. Unknown errors are not: they are bugs, and the caller dead-letters or
 * crashes, it never retries for ever.
 */
export function isRetriable(error: unknown): boolean {
  if (error instanceof RetriableError) return true
  if (!(error instanceof Error)) return false
  if ('retriable' in error && error.retriable === true) return true
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (retriableCodes.has(code)) return true
  if (/^[0-9A-Z]{5}$/.test(code) && retriableSqlStates.some(([state]) => code.startsWith(state))) return true
  if (retriableMessages.some((text) => error.message.includes(text))) return true
  if (error instanceof AggregateError && error.errors.some(isRetriable)) return true
  return error.cause !== undefined && isRetriable(error.cause)
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
