import { toCount, toPlural } from '../../lib/words.ts'
import type { Audit } from '../audit.ts'
import { toTable, wrap } from '../terminal/table.ts'

/** Most faults that are shown one by one. */
const faultsShown = 20

/** Whether everything ended once, in one line. */
export function toVerdict({ account, archive }: Audit): { addsUp: boolean; text: string } {
  const faults = countFaults({ account, archive })
  const { items, stored, duplicates, dropped, rejected, deadLettered } = account
  const drops = Object.values(dropped).reduce((n, d) => n + d, 0)
  const sum = stored + duplicates + drops + rejected + deadLettered
  const parts = `${toCount(items)} items = ${toCount(stored)} stored + ${toCount(duplicates)} duplicates + ${toCount(drops)} dropped + ${toCount(rejected)} rejected + ${toCount(deadLettered)} dead-lettered`
  if (faults === 0 && sum === items) return { addsUp: true, text: `It adds up: ${parts}.` }
  const missing = sum === items ? '' : ` + ${toCount(items - sum)} missing`
  return { addsUp: false, text: `It does not add up (${toPlural(faults, 'fault')}): ${parts}${missing}.` }
}

function countFaults({ account, archive }: Pick<Audit, 'account' | 'archive'>): number {
  const archived = Object.values(archive ?? {}).reduce((n, c) => n + c.faults.length + (c.moreFaults ?? 0), 0)
  return account.faults.length + account.moreFaults + archived
}

/** The counts, what does not add up, and the verdict. */
export function toAuditLines(audit: Audit, width: number): string[] {
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
    ...wrap(toVerdict(audit).text, width),
  ]
}
