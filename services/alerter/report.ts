import { messageOf } from '../../lib/errors.ts'
import type { EventType, Severity } from '../../lib/events.ts'
import { deadLetterReasons } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { headerText } from '../../lib/kafka/record.ts'
import type { OperationalEvent } from '../../lib/topology.ts'

/** What one record reports to an operator. */
export interface Report {
  /** The first report of a kind is posted at once, the rest is counted. */
  kind: string
  /** Kinds that share a line of the digest and the limit of alerts posted at once. */
  family: string
  /** Names the family to a person. */
  familyTitle: string
  state: 'raised' | 'resolved'
  /** It is never posted at once. */
  isDigestOnly: boolean
  /** A process repeats an event because what it reports lasts. */
  isRepeat?: boolean
  /** No process reports it any more, and it is not known whether it is over. */
  isEndUnknown?: boolean
  severity: Severity
  title: string
  /** What happened, and what to do about it. */
  text: string
  fields: { name: string; value: string }[]
  /** One line that distinguishes this report from others of its family. */
  example: string
  /** The service or consumer group that it comes from. */
  source: string
  /** Unix time in milliseconds. */
  at: number
  /** Topic and partition, and the offset in it. */
  partition: string
  offset: number
}

/** Texts may have any length; memory keeps this much of each. */
const textMax = 2_000
const lineMax = 300
const fieldsMax = 30

/** Events about single users that come in large numbers when something is wrong, and are not urgent. */
const digestOnly: ReadonlySet<string> = new Set<EventType>(['user_unpolled'])

type Position = Pick<RawRecord, 'topic' | 'partition' | 'offset'>

/** The report of an operational event. */
export function toEventReport(event: OperationalEvent, position: Position): Report {
  const type = toLine(event.type)
  const subject = toLine(event.subject)
  return {
    kind: `event ${type} ${subject}`,
    family: `event ${type}`,
    familyTitle: type,
    state: event.state === 'resolved' ? 'resolved' : 'raised',
    isDigestOnly: digestOnly.has(type),
    isRepeat: 'repeated' in event.details,
    isEndUnknown: event.details.end === 'unknown',
    severity: severityOf(event.severity),
    title: `${type}: ${subject}`,
    text: event.message.slice(0, textMax),
    fields: Object.entries(event.details)
      .slice(0, fieldsMax)
      .map(([name, value]) => ({ name: toLine(name), value: value.slice(0, textMax) })),
    example: toLine(`${subject}: ${event.message}`),
    source: toLine(event.service),
    at: event.at,
    ...placeOf(position),
  }
}

/** The report of a dead letter; a missing header is shown as unknown. */
export function toDeadLetterReport(record: RawRecord): Report {
  const header = (name: string) => (headerText(record, `dlq.${name}`) ?? 'unknown').slice(0, textMax)
  const group = toLine(header('group'))
  const topic = toLine(header('topic'))
  const reason = toLine(header('reason'))
  const key = toLine(record.key?.toString('utf8') ?? 'none')
  const where = `${topic}/${header('partition')} offset ${header('offset')}`
  const family = `dead-letter ${group} ${topic} ${reason}`
  const at = Number(header('at'))
  return {
    kind: family,
    family,
    familyTitle: `Dead letters: ${reason} in ${group}`,
    state: 'raised',
    isDigestOnly: false,
    severity: 'warning',
    title: `Dead letter: ${reason} in ${group}`,
    text: `${meaningOf(reason)}\n${header('message')}`,
    fields: [
      { name: 'record', value: where },
      { name: 'key', value: key },
    ],
    example: toLine(`${where}, key ${key}: ${header('message')}`),
    source: group,
    at: Number.isFinite(at) ? at : record.timestamp,
    ...placeOf(record),
  }
}

/** The report of a dead letter for which {@link toDeadLetterReport} throws. */
export function toUnreadableReport(record: RawRecord, error: unknown): Report {
  const place = `${record.topic}/${record.partition} offset ${record.offset}`
  return {
    kind: 'dead-letter unreadable',
    family: 'dead-letter unreadable',
    familyTitle: 'Dead letters that cannot be read',
    state: 'raised',
    isDigestOnly: false,
    severity: 'warning',
    title: 'A dead letter cannot be read',
    text: messageOf(error).slice(0, textMax),
    fields: [{ name: 'dead letter', value: place }],
    example: toLine(`${place}: ${messageOf(error)}`),
    source: 'alerter',
    at: record.timestamp,
    ...placeOf(record),
  }
}

function toLine(text: string): string {
  return text.slice(0, lineMax)
}

function placeOf({ topic, partition, offset }: Position) {
  return { partition: `${topic}/${partition}`, offset }
}

function meaningOf(reason: string): string {
  const reasons: Record<string, string> = deadLetterReasons
  return Object.hasOwn(reasons, reason) ? (reasons[reason] ?? '') : 'A record could not be dealt with.'
}

function severityOf(text: string): Severity {
  return text === 'critical' || text === 'info' ? text : 'warning'
}
