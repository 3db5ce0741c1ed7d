import type { Operator } from '../operator.ts'
import { toReport } from './judge.ts'
import { readDatabaseParts } from './read-database.ts'
import { readKafkaParts } from './read-kafka.ts'
import type { StatusReport } from './report.ts'

/** Reads all parts concurrently, each within five seconds, and judges them. A server that is away becomes a problem. */
export async function readStatus(operator: Operator): Promise<StatusReport> {
  const [database, kafka] = await Promise.all([readDatabaseParts(operator), readKafkaParts(operator)])
  return toReport({ ...database, ...kafka }, new Date())
}
