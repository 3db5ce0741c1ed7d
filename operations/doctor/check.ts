import { ConfigError } from '../../lib/config.ts'
import { scrub } from '../../lib/log.ts'
import { late, within } from '../../lib/time-limit.ts'
import { describe, OperatorFault } from '../fault.ts'
import type { Operator } from '../operator.ts'
import type { CheckReport, Finding, State, UserTroubles } from './report.ts'

/** Collects the findings of a check. Once its report is made, findings of a check that is late are dropped. */
export class Notes {
  readonly findings: Finding[] = []
  detail: UserTroubles | null = null
  #isOpen = true

  ok(subject: string, text: string): void {
    this.add({ state: 'ok', subject, text, hint: null })
  }

  warn(subject: string, text: string, hint: string): void {
    this.add({ state: 'warn', subject, text, hint })
  }

  fail(subject: string, text: string, hint: string): void {
    this.add({ state: 'fail', subject, text, hint })
  }

  add(finding: Finding): void {
    // Addresses may carry passwords.
    if (this.#isOpen) this.findings.push({ ...finding, text: scrub(finding.text) })
  }

  attach(detail: UserTroubles): void {
    if (this.#isOpen) this.detail = detail
  }

  close(): void {
    this.#isOpen = false
  }
}

/** What the operator allows the checks to do. */
export interface Allowed {
  /** Post a message to Discord. */
  post: boolean
}

export interface Check {
  name: string
  /** Text for docs/operations/doctor.md. */
  looksAt: string
  withinMs: number
  /** What to do when the check as a whole fails. */
  hint: string
  /** Anything that it throws becomes a finding. */
  run(operator: Operator, notes: Notes, allowed: Allowed): Promise<void>
}

/**
 * Runs one check. It ends within its time and never throws: an error becomes the last finding, and the findings before
 * it stay.
 */
export async function runCheck(check: Check, operator: Operator, allowed: Allowed): Promise<CheckReport> {
  const begunAt = performance.now()
  const notes = new Notes()
  try {
    if ((await within(check.withinMs, check.run(operator, notes, allowed))) === late)
      notes.fail('time', `no answer within ${check.withinMs / 1000} seconds: not all was checked`, check.hint)
  } catch (error) {
    const { text, hint } = toWords(error, check)
    notes.fail('cannot be checked', text, hint)
  }
  notes.close()
  const { findings, detail } = notes
  const ms = Math.round(performance.now() - begunAt)
  return { name: check.name, state: worst(findings.map((f) => f.state)), ms, findings, detail }
}

/** The worst of the states; `ok` if there are none. */
export function worst(states: readonly State[]): State {
  return states.includes('fail') ? 'fail' : states.includes('warn') ? 'warn' : 'ok'
}

function toWords(error: unknown, check: Check): { text: string; hint: string } {
  if (error instanceof OperatorFault) return { text: error.message, hint: error.hint }
  const hint = error instanceof ConfigError ? 'Set it in the environment or in .env.' : check.hint
  return { text: describe(error), hint }
}
