import type { Notice } from '../events.ts'
import type { HeldUpRecord } from '../outages.ts'
import type { LogChange } from './log-guard.ts'
import type { RawRecord } from './record.ts'

/** The event for a group that now reads another log, or goes on at the earliest record. */
export function logChangeNotice(group: string, { topic, verdict, partitions }: LogChange): Notice {
  const details = { topic, partitions: partitions.join(',') }
  const notice = { subject: `group:${group}`, severity: 'critical' as const, details }
  if (verdict === 'forgotten') {
    return {
      ...notice,
      type: 'offset_out_of_range',
      message: `${group} asked for records that ${topic} has already forgotten and goes on at the earliest one. The archive may still have them.`,
    }
  }
  return {
    ...notice,
    type: 'log_replaced',
    message: `${topic} is not the log that ${group} had read: it was made again, or has lost its end. ${group} reads it from the earliest record; what comes twice changes nothing. What the old log held and nobody had read is lost.`,
  }
}

/** The report of a record that holds up its partition. @param of.canBury whether an operator can bury it */
export function toHeldUpRecord(
  { topic, partition, offset }: RawRecord,
  of: { group: string; words: string; canBury: boolean },
): HeldUpRecord {
  const { group, words, canBury } = of
  const place = `${topic}/${partition}/${offset}`
  const hint = canBury ? ` To give the record up: songswap dead-letters bury ${place} --execute` : ''
  return {
    offset,
    words,
    message: `${group} does not get past ${place}, though what it needs answers: ${words}. The records behind it wait.${hint}`,
    details: { group, topic, partition: String(partition), offset: String(offset), place, words },
  }
}
