import type { Server } from '../../lib/errors.ts'
import { calling } from '../../lib/errors.ts'
import type { DeadLetter } from '../../lib/kafka/dead-letter.ts'
import { redriveGroupHeader } from '../../lib/kafka/dead-letter.ts'
import { faultLetter } from '../../lib/kafka/handler-sink.ts'
import type { DecodedRecord } from '../../lib/kafka/record.ts'
import { headerText } from '../../lib/kafka/record.ts'
import type { PartitionSink, Settled } from '../../lib/kafka/sink.ts'
import type { OperationalEvent } from '../../lib/topology.ts'
import type { Decisions } from './decisions.ts'
import type { AlertDesk, DigestSource } from './desk.ts'
import type { Digest } from './digest.ts'
import { addReport, mergeDigests } from './digest.ts'
import { isEndOfOne } from './outage-reports.ts'
import type { Report } from './report.ts'
import { toDeadLetterReport, toEventReport, toUnreadableReport } from './report.ts'

const empty: Digest = new Map()
/** Only a post shows whether Discord answers. The probe always fails, so no record is buried for failed posts. */
const discord: Server = {
  name: 'discord',
  probe: () => Promise.reject(new Error('Discord is not asked')),
}

/**
 * The alerts of one partition. Its offset moves only past records whose alert or digest Discord holds. What is
 * counted in memory is read again after a kill, so nothing is lost, but something may be posted twice. Memory is
 * bounded: it keeps counts and a few examples of any number of waiting records.
 */
export function openAlertSink(options: {
  desk: AlertDesk
  decisions: Decisions
  topic: string
  group: string
  /** Name of the topic whose records are dead letters; the other one's are events. */
  deadLetterTopic: string
}): PartitionSink<unknown> {
  const { desk, decisions, topic, group, deadLetterTopic } = options
  let waiting = empty
  /** Offset of the last record read, and of the last one settled. */
  let taken: number | null = null
  let settled: number | null = null
  let handedOver = false
  /** The last offset returned, so that an idle partition is not committed every second. */
  let returned: number | null = null

  const source: DigestSource = {
    topic,
    waitingSince: null,
    handOver() {
      const [digest, through, since] = [waiting, taken, source.waitingSince]
      waiting = empty
      source.waitingSince = null
      handedOver = true
      return {
        digest,
        posted: () => {
          handedOver = false
          settled = through
        },
        failed: () => {
          handedOver = false
          waiting = mergeDigests([digest, waiting])
          source.waitingSince = since
        },
      }
    },
  }
  desk.join(source)

  function settle(deadLetters: DeadLetter[] = []): Settled {
    const through = waiting.size === 0 && !handedOver ? taken : settled
    settled = null
    if (through === returned) return { through: null, deadLetters }
    returned = through ?? returned
    return { through, deadLetters }
  }

  return {
    async write(records) {
      const open = topic === deadLetterTopic ? await decisions.openOf(records) : records
      const { reports, deadLetters } = toReports(open, { group, deadLetterTopic })
      const folded = await calling(discord, () => desk.announce(reports))
      if (folded.length > 0) source.waitingSince ??= performance.now()
      waiting = folded.reduce(addReport, waiting)
      taken = records.at(-1)?.offset ?? taken
      await desk.postDigestIfDue()
      return settle(deadLetters)
    },
    async tick() {
      await desk.postDigestIfDue()
      return settle()
    },
    async close() {
      desk.leave(source)
    },
  }
}

function toReports(
  records: readonly DecodedRecord<unknown>[],
  { group, deadLetterTopic }: { group: string; deadLetterTopic: string },
): { reports: Report[]; deadLetters: DeadLetter[] } {
  const reports: Report[] = []
  const deadLetters: DeadLetter[] = []
  for (const { decoded, ...record } of records) {
    const redrivenTo = headerText(record, redriveGroupHeader)
    if (redrivenTo !== null && redrivenTo !== group) continue
    try {
      if (decoded.type !== 'value')
        deadLetters.push({ record, reason: decoded.reason, message: decoded.message })
      else if (record.topic === deadLetterTopic) reports.push(toDeadLetterReport(record))
      else if (!isEndOfOne(decoded.value as OperationalEvent))
        reports.push(toEventReport(decoded.value as OperationalEvent, record))
    } catch (error) {
      // A dead letter about a dead letter would go to the same topic and fail again.
      if (record.topic === deadLetterTopic) reports.push(toUnreadableReport(record, error))
      else deadLetters.push(faultLetter(record, error))
    }
  }
  return { reports, deadLetters }
}
