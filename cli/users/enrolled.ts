import type { EnrolledUser } from '../../operations/users/report.ts'
import type { Output } from '../terminal/output.ts'
import { toPrintable } from '../terminal/table.ts'

/** Prints a message on standard error, and only the id on standard output. */
export function printEnrolled(out: Output, enrolled: EnrolledUser): void {
  if (out.json) out.printJsonLine(enrolled)
  else {
    out.say(toEnrolledText(enrolled))
    out.print(String(enrolled.id))
  }
}

/** The message for a person about a user who was just stored. */
export function toEnrolledText({ id, spotifyId, displayName, known }: EnrolledUser): string {
  const name = toPrintable(displayName ?? spotifyId)
  return known
    ? `${name} (user ${id}) is connected again: the new token replaces the old one.`
    : `${name} is user ${id}, and is polled from now on.`
}

/** Returns a function that reports why the tokens are not stored yet. */
export function sayWaiting(out: Output): (reason: string) => void {
  return (reason) =>
    out.say(`The database does not take the tokens (${reason}). Trying on; Ctrl-C would lose them.`)
}
