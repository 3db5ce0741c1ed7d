import type { Account, AuditReport } from './report.ts'

/** Whether there are no faults and each item ended exactly once. */
export function addsUp(counted: Pick<AuditReport, 'account' | 'archive'>): boolean {
  return countFaults(counted) === 0 && countEnded(counted.account) === counted.account.items
}

/** Number of items whose end was found. */
export function countEnded({ stored, duplicates, dropped, rejected, deadLettered }: Account): number {
  return stored + duplicates + countDropped(dropped) + rejected + deadLettered
}

export function countDropped(dropped: Account['dropped']): number {
  return Object.values(dropped).reduce((sum, n) => sum + n, 0)
}

export function countFaults({ account, archive }: Pick<AuditReport, 'account' | 'archive'>): number {
  const archived = Object.values(archive ?? {}).reduce((n, c) => n + c.faults.length + (c.moreFaults ?? 0), 0)
  return account.faults.length + account.moreFaults + archived
}
