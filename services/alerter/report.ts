import { messageOf } from '../../lib/errors.ts'
import type { EventType, Severity } from '../../lib/events.ts'
import { deadLetterReasons } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import { headerText } from '../../lib/kafka/record.ts'
import type { OperationalEvent } from '../../lib/topology.ts'

/** What one record tells an operator. */
export interface Report {
  /** The first of a kind is told at once, the rest is counted. */
  kind: string
  /** Kinds that make one line of a digest, and share one allowance of alerts at once. */
  family: string
  /** Names the family to a person. */
  familyTitle: string
  state: 'raised' | 'resolved'
  /** It can wait: a digest is soon enough. */
  isDigestOnly: boolean
  /** A process repeats what it has reported, because it lasts. */
  isRepeat?: boolean
  /** Nobody reports it any more, and whether it is over is not known. */
  isEndUnknown?: boolean
  severity: Severity
  title: string
  /** What happened, and what to do about it. */
  text: string
  fields: { name: string; value: string }[]
  /** One line that tells this one from others of its family. */
  example: string
  /** Who says so: a service or a consumer group. */
  source: string
  /** Unix time in milliseconds. */
  at: number
  /** Topic and partition, and the offset in it. */
  partition: string
  offset: number
}

/** Texts come from anywhere; what is kept of each in memory is bounded. */
const textMax = 2_000
const lineMax = 300
const fieldsMax = 30

/** Events of single users that come in numbers when something is wrong, and are no news within minutes. */
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

/** The report of a dead letter; what its headers do not say is shown as unknown. */
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

/** The report of a dead letter over which {@link toDeadLetterReport} fails. */
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
