import type { UnsafeSetting } from '../../lib/server-settings/rules.ts'
import { describe } from '../fault.ts'
import type { Notes } from './check.ts'

/** Notes a finding for each unsafe setting, or one that all are safe, or one that they are unknown. */
export async function noteSettings(
  notes: Notes,
  subject: string,
  find: () => Promise<UnsafeSetting[]>,
): Promise<void> {
  let unsafe: UnsafeSetting[]
  try {
    unsafe = await find()
  } catch (error) {
    return notes.warn(
      subject,
      `not known: ${describe(error)}`,
      'Let this user read the settings of the server.',
    )
  }
  if (unsafe.length === 0) notes.ok(subject, 'safe')
  for (const { rule, where, value } of unsafe) {
    const text = `${where} has ${value} (safe: ${rule.safe}): ${rule.harm}`
    notes[rule.level === 'refuse' ? 'fail' : 'warn'](rule.setting, text, `${toSentenceCase(rule.remedy)}.`)
  }
}

/** The text with its first letter as a capital. */
export function toSentenceCase(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
