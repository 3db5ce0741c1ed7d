import { exitCodes } from '../../lib/lifecycle.ts'
import { toPlural } from '../../lib/words.ts'
import { toCsv } from '../../operations/offsets/csv.ts'
import type { Move, MoveReport } from '../../operations/offsets/report.ts'
import type { CliContext } from '../command.ts'
import { toTable } from '../terminal/table.ts'

/**
 * Prints a move that was planned or made.
 *
 * @param csv prints the new offsets as CSV instead of a table
 */
export function showMove({ out, terminal }: CliContext, report: MoveReport, { csv = false } = {}): number {
  const { moves } = report
  if (out.json) out.printJson(report)
  else if (csv) terminal.stdout.write(toCsv(moves.map((m) => ({ ...m, offset: m.to }))))
  else out.print(toMoveLines(moves, out.width).join('\n'))
  if (!out.json) out.say(toEnding(report))
  return exitCodes.stopped
}

function toMoveLines(moves: readonly Move[], width: number): string[] {
  return toTable(
    [
      { title: 'TOPIC', shrinks: true },
      { title: 'PARTITION', align: 'right' },
      { title: 'COMMITTED', align: 'right' },
      { title: 'NEW', align: 'right' },
      { title: 'RECORDS', align: 'right' },
      { title: '' },
    ],
    moves.map((m) => [
      m.topic,
      String(m.partition),
      m.from === null ? '-' : String(m.from),
      String(m.to),
      m.from === null ? '-' : toSigned(m.to - m.from),
      m.clamped ? 'clamped' : '',
    ]),
    width,
  )
}

function toSigned(n: number): string {
  return n > 0 ? `+${n}` : String(n)
}

function toEnding({ group, executed, moves }: MoveReport): string {
  const what = toPlural(moves.length, 'partition')
  if (moves.length === 0) return `${group}: nothing to move.`
  if (executed) return `${group} is moved in ${what}.`
  return `Nothing was changed. Move ${group} in ${what} with: --execute`
}
