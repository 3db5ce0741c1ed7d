import { toPlural } from '../../lib/words.ts'
import type { CheckReport, Finding, State } from '../../operations/doctor/report.ts'
import type { Output } from '../terminal/output.ts'
import { wrap } from '../terminal/table.ts'
import { toTroubleLines } from './troubles.ts'

const styles = { ok: 'green', warn: 'yellow', fail: 'red' } as const
const textColumn = 8

type Painter = Pick<Output, 'style' | 'width'>

/** A check's report as lines for a person. */
export function toCheckLines(report: CheckReport, out: Painter): string[] {
  const { name, findings, detail } = report
  const at = { now: new Date(), width: out.width - textColumn }
  const rows = detail ? toTroubleLines(detail.troubled, at) : []
  return [
    out.style('bold', name),
    ...findings.flatMap((finding) => toFindingLines(finding, out)),
    ...(rows.length > 0 ? ['', ...rows.map((row) => `${' '.repeat(textColumn)}${row}`)] : []),
    '',
  ]
}

/** The last line of the output: how many findings failed or warn. */
export function toVerdict(reports: readonly CheckReport[], out: Painter): string {
  const count = (state: State) =>
    reports.reduce((sum, { findings }) => sum + findings.filter((f) => f.state === state).length, 0)
  const [failed, warned] = [count('fail'), count('warn')]
  if (failed + warned === 0) return out.style('green', 'all is well')
  const parts = [
    ...(failed > 0 ? [out.style('red', `${failed} failed`)] : []),
    ...(warned > 0 ? [out.style('yellow', toPlural(warned, 'warning'))] : []),
  ]
  return `${parts.join(', ')}, ${count('ok')} ok`
}

function toFindingLines({ state, subject, text, hint }: Finding, out: Painter): string[] {
  const width = out.width - textColumn
  const [first = '', ...rest] = wrap(`${subject}: ${text}`, width)
  const indent = ' '.repeat(textColumn)
  return [
    `  ${out.style(styles[state], state.padEnd(4))}  ${first}`,
    ...rest.map((line) => indent + line),
    ...wrap(hint === null ? '' : `→ ${hint}`, width).map((line) => indent + out.style('dim', line)),
  ]
}
