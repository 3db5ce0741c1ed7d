import type { CliContext } from '../../cli/command.ts'
import { ConfigError } from '../../lib/config.ts'
import { scrub } from '../../lib/log.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { late, within } from '../../lib/time-limit.ts'
import { describe, OperatorFault } from '../fault.ts'

/** `warn`: it works, but somebody should look; `fail`: something does not work or plays get lost. */
export type State = 'ok' | 'warn' | 'fail'

/** One line of a check. */
export interface Finding {
  state: State
  /** What was looked at. */
  subject: string
  /** What was found. */
  text: string
  /** What to do; null where there is nothing to do. */
  hint: string | null
}

/** Rows that stand below a check's lines. */
export interface Attachment {
  /** For `--json`. */
  data: unknown
  toLines: (width: number) => string[]
}

/** Where a check writes what it finds, as it finds it. */
export interface Notes {
  ok(subject: string, text: string): void
  warn(subject: string, text: string, hint: string): void
  fail(subject: string, text: string, hint: string): void
  add(finding: Finding): void
  attach(attachment: Attachment): void
}

/** What checks work with. */
export interface DoctorContext extends CliContext {
  /** Shared by all checks; opened with the first call. @throws OperatorFault or ConfigError when it cannot be used */
  database: () => Promise<Postgres>
  /** Discord may be posted to. */
  post: boolean
}

export interface Check {
  name: string
  withinMs: number
  /** What to do when it fails as a whole. */
  hint: string
  /** Whatever it throws becomes a line. */
  run: (context: DoctorContext, notes: Notes) => Promise<void>
}

/** What came of a check. */
export interface CheckReport {
  name: string
  state: State
  ms: number
  findings: Finding[]
  attachment: Attachment | null
}

/**
 * Runs one check. It ends within its time, and never throws: what went wrong is its last line, and what it found
 * before stays.
 */
export async function runCheck(check: Check, context: DoctorContext): Promise<CheckReport> {
  const begunAt = performance.now()
  const { notes, findings, attachment, close } = openNotes()
  try {
    if ((await within(check.withinMs, check.run(context, notes))) === late)
      notes.fail('time', `no answer within ${check.withinMs / 1000} seconds: not all was checked`, check.hint)
  } catch (error) {
    const { text, hint } = toWords(error, check)
    notes.fail('cannot be checked', text, hint)
  } finally {
    close()
  }
  return {
    name: check.name,
    state: worst(findings.map((f) => f.state)),
    ms: Math.round(performance.now() - begunAt),
    findings,
    attachment: attachment(),
  }
}

/** The worst of them; `ok` where there is none. */
export function worst(states: readonly State[]): State {
  return states.includes('fail') ? 'fail' : states.includes('warn') ? 'warn' : 'ok'
}

/** What a check that is late still writes goes nowhere: its report is out. */
function openNotes() {
  const findings: Finding[] = []
  let attached: Attachment | null = null
  let open = true
  const add = (finding: Finding) => {
    // Addresses may carry passwords.
    if (open) findings.push({ ...finding, text: scrub(finding.text) })
  }
  const notes: Notes = {
    add,
    ok: (subject, text) => add({ state: 'ok', subject, text, hint: null }),
    warn: (subject, text, hint) => add({ state: 'warn', subject, text, hint }),
    fail: (subject, text, hint) => add({ state: 'fail', subject, text, hint }),
    attach: (attachment) => {
      if (open) attached = attachment
    },
  }
  const close = () => {
    open = false
  }
  return { notes, findings, attachment: (): Attachment | null => attached, close }
}

function toWords(error: unknown, check: Check): { text: string; hint: string } {
  if (error instanceof OperatorFault) return { text: error.message, hint: error.hint }
  const hint = error instanceof ConfigError ? 'Set it in the environment or in .env.' : check.hint
  return { text: describe(error), hint }
}
