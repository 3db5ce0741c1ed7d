import type { Sql } from '../../lib/postgres.ts'
import type { Choice } from './bounds.ts'
import { isWithin, toLimits } from './bounds.ts'
import { readErasedUsers } from './erased.ts'
import type { Wanted } from './run.ts'

/** Pages of the chosen user and range, but never those of erased users. */
export async function pagesOf(
  sql: Sql,
  { user, within }: { user: number | null; within?: Choice },
): Promise<Wanted> {
  const erased = await readErasedUsers(sql)
  const isChosen = within ? inRange(within) : () => true
  return (record) => {
    const owner = record.key?.toString('latin1') ?? ''
    return isChosen(record) && !erased.has(owner) && (user === null || owner === String(user))
  }
}

export function inRange(choice: Choice): Wanted {
  return (record) => {
    const limits = toLimits(choice, record.partition)
    return limits !== null && isWithin(limits, record)
  }
}
