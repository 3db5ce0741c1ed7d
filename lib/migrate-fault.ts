import { messageOf } from './errors.ts'

/** A step of the migration failed; the message holds the name of the server and its error. */
export class MigrationFault extends Error {
  /** What to do, or null if no hint fits. */
  readonly hint: string | null

  /** @param server for a person: `Postgres`, `Kafka`, `Schema registry` */
  constructor(server: string, cause: unknown) {
    const texts = chainOf(cause).map(wordsOf)
    // Wrappers often repeat the message of the error they wrap.
    const distinct = texts.filter((text, i) => !texts.slice(0, i).some((earlier) => earlier.includes(text)))
    super(`${server}: ${distinct.join(': ')}`, { cause })
    this.name = 'MigrationFault'
    this.hint = hintFor(chainOf(cause))
  }
}

/** Hints by the errors of the system, TLS, Postgres or Kafka; the first that matches counts. */
const hints: readonly { pattern: RegExp; hint: string }[] = [
  {
    pattern: /ECONNREFUSED/,
    hint: 'Nothing listens there. Is it running? For the local servers: npm run infra',
  },
  {
    pattern: /ENOTFOUND|EAI_AGAIN/,
    hint: 'The name of the server cannot be resolved. Is the address right?',
  },
  {
    pattern: /ETIMEDOUT|timeout expired|EHOSTUNREACH|ENETUNREACH/i,
    hint: 'It cannot be reached from here: a firewall, a wrong port?',
  },
  {
    pattern: /CERT|SSL|TLS|self.signed|unable to verify/i,
    hint: 'The two sides do not agree on TLS. Is it switched on where it should be, and is the certificate known here and still valid?',
  },
  {
    pattern: /\b28P01\b|\b28000\b|SASL|authentication/i,
    hint: 'The login is refused. Are user and password right?',
  },
  { pattern: /\b3D000\b/, hint: 'Create the database first; songswap creates the tables only.' },
  {
    pattern: /\b42501\b|AUTHORIZATION_FAILED|not authorized/i,
    hint: 'This user may not do that. Migrate as one who may create tables and topics.',
  },
]

function hintFor(chain: unknown[]): string | null {
  const text = chain.map((error) => `${codeOf(error)} ${messageOf(error)}`).join(' ')
  return hints.find(({ pattern }) => pattern.test(text))?.hint ?? null
}

/** An error and its chain of causes. An AggregateError, as of a host with several addresses, adds its first error. */
function chainOf(error: unknown): unknown[] {
  if (!(error instanceof Error)) return [error]
  const inner = error instanceof AggregateError ? error.errors.slice(0, 1) : []
  const cause = error.cause === undefined || error.cause === error ? [] : chainOf(error.cause)
  return [error, ...inner, ...cause]
}

function wordsOf(error: unknown): string {
  return messageOf(error) || codeOf(error) || 'it failed without a word'
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  const own = 'code' in error && error.code !== undefined ? String(error.code) : ''
  const type = 'type' in error && typeof error.type === 'string' ? error.type : ''
  return [own, type].filter(Boolean).join(' ')
}
