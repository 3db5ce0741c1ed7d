import { toCount, toPlural } from '../../lib/words.ts'
import type { AuditReport } from '../../operations/audit/report.ts'
import { countDropped, countEnded, countFaults } from '../../operations/audit/verdict.ts'
import { toTable, wrap } from '../terminal/table.ts'

/** At most this many faults are shown. */
const faultsShown = 20

/** Whether everything adds up, on one line. */
function toVerdict({ account, archive, addsUp }: AuditReport): string {
  const { items, stored, duplicates, dropped, rejected, deadLettered } = account
  const missing = items - countEnded(account)
  const parts = `${toCount(items)} items = ${toCount(stored)} stored + ${toCount(duplicates)} duplicates + ${toCount(countDropped(dropped))} dropped + ${toCount(rejected)} rejected + ${toCount(deadLettered)} dead-lettered`
  if (addsUp) return `It adds up: ${parts}.`
  const faults = toPlural(countFaults({ account, archive }), 'fault')
  return `It does not add up (${faults}): ${parts}${missing === 0 ? '' : ` + ${toCount(missing)} missing`}.`
}

/** The counts, the faults and the verdict. */
export function toAuditLines(audit: AuditReport, width: number): string[] {
  const { account, archive } = audit
  const rows: [string, number | null, number | null][] = [
    ['pages in the topic', audit.records, null],
    ['  waiting for the loader', audit.waiting, null],
    ['  taken by the loader', account.records, account.items],
    ['    stored', null, account.stored],
    ['    duplicate', null, account.duplicates],
    ...Object.entries(account.dropped).map(([reason, n]): [string, null, number] => [
      `    dropped: ${reason}`,
      null,
      n,
    ]),
    ['    rejected', null, account.rejected],
    ['    dead-lettered', account.deadPages, account.deadLettered],
    ...Object.entries(archive ?? {}).flatMap(([topic, c]): [string, number, null][] => [
      [`archived of ${topic}`, c.archived, null],
      ['  waiting for the archiver', c.waiting, null],
    ]),
  ]
  const table = toTable(
    [{ title: '' }, { title: 'RECORDS', align: 'right' }, { title: 'ITEMS', align: 'right' }],
    rows.map(([name, ...counts]) => [name, ...counts.map((n) => (n === null ? '' : toCount(n)))]),
    width,
  )
  const faults = [
    ...account.faults,
    ...Object.entries(archive ?? {}).flatMap(([topic, c]) =>
      c.faults.map((f) => `archive of ${topic}: ${f}`),
    ),
  ]
  const more = countFaults(audit) - Math.min(faults.length, faultsShown)
  return [
    ...table,
    '',
    ...faults.slice(0, faultsShown),
    ...(more > 0 ? [`… and ${toCount(more)} more (--json names the first 1,000 of each kind)`] : []),
    ...(faults.length > 0 ? [''] : []),
    ...wrap(toVerdict(audit), width),
  ]
}
