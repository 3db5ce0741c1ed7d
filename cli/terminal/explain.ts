import { ConfigError } from '../../lib/config.ts'
import { isKnownOutage } from '../../lib/errors.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import { scrub } from '../../lib/log.ts'
import { describe, isNotMigrated, OperatorFault } from '../../operations/fault.ts'
import { toPrintable } from './table.ts'

/** The message for an error that ended a command, without secrets, and the exit code. */
export function explain(error: unknown): { text: string; exitCode: number } {
  if (error instanceof OperatorFault) {
    return worded(error.message, error.hint, error.code === 'usage' ? exitCodes.usage : exitCodes.fault)
  }
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

function worded(what: string, hint: string, exitCode: number): { text: string; exitCode: number } {
  const text = scrub(`${what}\n  ${hint}`).split('\n').map(toPrintable).join('\n')
  return { text, exitCode }
}
