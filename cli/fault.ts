import { ConfigError } from '../lib/config.ts'
import { isKnownOutage, messageOf } from '../lib/errors.ts'
import { exitCodes } from '../lib/lifecycle.ts'
import { scrub } from '../lib/log.ts'

/** What failed, and what the person at the terminal can do about it. */
export class CliFault extends Error {
  readonly hint: string
  readonly exitCode: number

  constructor(message: string, hint: string, options: { cause?: unknown; exitCode?: number } = {}) {
    super(message, { cause: options.cause })
    this.name = 'CliFault'
    this.hint = hint
    this.exitCode = options.exitCode ?? exitCodes.fault
  }
}

/** SQLSTATEs of tables and columns that are not there. */
const notMigrated = new Set(['42P01', '42703'])

/** Words for whatever a command threw, without secrets, and its exit code. */
export function explain(error: unknown): { text: string; exitCode: number } {
  if (error instanceof CliFault) return worded(error.message, error.hint, error.exitCode)
  if (error instanceof ConfigError) {
    const hint = 'Set it in the environment or in .env. For the local servers: npm run infra'
    return worded(error.message, hint, exitCodes.usage)
  }
  if (isNotMigrated(error)) return worded(describe(error), 'It is safe at any time.', exitCodes.fault)
  if (isKnownOutage(error)) {
    return worded(describe(error), 'Try again; songswap status shows what answers.', exitCodes.fault)
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { text: scrub(`This is a bug in songswap:\n${text}`), exitCode: exitCodes.fault }
}

function isNotMigrated(error: unknown): boolean {
  return error instanceof Error && 'code' in error && notMigrated.has(String(error.code))
}

/** One line on an error, with its cause, without secrets. */
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

function worded(what: string, hint: string, exitCode: number): { text: string; exitCode: number } {
  return { text: scrub(`${what}\n  ${hint}`), exitCode }
}
