import type { StatusChange } from '../../operations/users/report.ts'
import type { Output } from '../terminal/output.ts'
import { toPrintable } from '../terminal/table.ts'

/** @param words what became of the user, after the name */
export function printChange(out: Output, change: StatusChange, words: string): void {
  const { id, displayName, spotifyId } = change
  if (out.json) out.printJson(change)
  else out.say(`${toPrintable(displayName ?? spotifyId)} (user ${id}) ${words}`)
}
