import type { StatusChange } from '../../operations/users/report.ts'
import type { Output } from '../terminal/output.ts'
import { toPrintable } from '../terminal/table.ts'

/** @param words follow the user's name and say what has changed */
export function printChange(out: Output, change: StatusChange, words: string): void {
  const { id, displayName, spotifyId } = change
  if (out.json) out.printJson(change)
  else out.say(`${toPrintable(displayName ?? spotifyId)} (user ${id}) ${words}`)
}
