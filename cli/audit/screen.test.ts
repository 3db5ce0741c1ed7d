import { expect, test } from 'vitest'
import { emptyAccount } from '../../operations/audit/account.ts'
import type { Account, AuditReport } from '../../operations/audit/report.ts'
import { toAuditLines } from './screen.ts'

const audit = (account: Partial<Account>): AuditReport => ({
  ...{ records: 1, waiting: 0, archive: null, addsUp: false },
  account: { ...emptyAccount(), ...account },
})

test('the verdict counts the items of which nothing is known', () => {
  expect(toAuditLines(audit({ items: 2, stored: 1 }), 200).at(-1)).toContain('+ 1 missing')
})

test('the first faults are listed, and the screen says how many more there are', () => {
  const faults = Array.from({ length: 1_000 }, (_, i) => `3/${i}: is not stored`)
  const lines = toAuditLines(audit({ faults, moreFaults: 234 }), 200)
  expect(lines.filter((line) => line.endsWith('is not stored'))).toHaveLength(20)
  expect(lines).toContain('… and 1,214 more (--json names the first 1,000 of each kind)')
  expect(lines.at(-1)).toContain('1,234 faults')
})
