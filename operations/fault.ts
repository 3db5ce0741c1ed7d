import { ConfigError } from '../lib/config.ts'
import { messageOf } from '../lib/errors.ts'
import { scrub } from '../lib/log.ts'

/**
 * Why an operation did not happen.
 *
 * | code | means |
 * |---|---|
 * | `usage` | the request itself is wrong, so repeating it cannot help |
 * | `failed` | everything else; the hint says what to do next |
 */
export type FaultCode = 'usage' | 'failed'

/** Why an operation failed, and what the operator can do about it. */
export class OperatorFault extends Error {
  readonly code: FaultCode
  readonly hint: string

  constructor(message: string, hint: string, options: { cause?: unknown; code?: FaultCode } = {}) {
    super(message, { cause: options.cause })
    this.name = 'OperatorFault'
    this.hint = hint
    this.code = options.code ?? 'failed'
  }
}

/** SQLSTATEs for tables and columns that do not exist. */
const notMigrated = new Set(['42P01', '42703'])

/** Whether the database is older than this version of the program. */
export function isNotMigrated(error: unknown): boolean {
  return error instanceof Error && 'code' in error && notMigrated.has(String(error.code))
}

/** An error and its cause on one line, without secrets. */
export function describe(error: unknown): string {
  if (error instanceof ConfigError) return error.faults.join('; ')
  if (isNotMigrated(error)) return 'the database is older than this version: npm run migrate'
  const what = ownWords(error)
  const cause = error instanceof Error && error.cause !== undefined ? ownWords(error.cause) : ''
  return scrub(what.includes(cause) ? what : `${what}: ${cause}`)
}

/** A refused connection to several addresses has no message, only a code. */
function ownWords(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return messageOf(error) || code || 'failed'
}
