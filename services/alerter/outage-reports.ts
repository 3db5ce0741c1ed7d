import type { EventType, Notice } from '../../lib/events.ts'
import type { OperationalEvent } from '../../lib/topology.ts'

/** A process that has reported an outage. */
interface Reporter {
  /** When its last event was read, by the monotonic clock of this process. */
  heardAt: number
  silentAfterMs: number
  /** How it ended its report, or null while it reports the outage. `moved`: another process has its partition now. */
  end: 'works' | 'moved' | 'stopped' | null
}

interface Outage {
  type: EventType
  subject: string
  /** By name of the process. */
  reporters: ReadonlyMap<string, Reporter>
}

/** The open outages, by type and subject. */
export type OutageReports = ReadonlyMap<string, Outage>

const repeatSecondsDefault = 300
/** A process that has missed this many repetitions is silent. */
const repetitionsMissed = 3

/** Whether one process reports the end of an outage. It is not posted: others may still report the outage. */
export function isEndOfOne({ state, details }: OperationalEvent): boolean {
  return state === 'resolved' && 'instance' in details
}

/**
 * The outages after an event. An end without the name of a process comes from the alerter and ends the whole outage.
 *
 * @param now monotonic, in milliseconds
 */
export function hear(before: OutageReports, event: OperationalEvent, now: number): OutageReports {
  const { subject, state, details } = event
  const type = event.type as EventType
  const key = `${type} ${subject}`
  const outages = new Map(before)
  const { instance } = details
  if (instance === undefined) {
    if (state === 'resolved') outages.delete(key)
    return outages
  }
  const reporters = new Map(before.get(key)?.reporters)
  const end = state === 'resolved' ? toEndOf(details.end) : null
  if (end !== null && !reporters.has(instance)) return before
  const seconds = Number(details.repeatSeconds) || repeatSecondsDefault
  reporters.set(instance, { heardAt: now, silentAfterMs: seconds * 1000 * repetitionsMissed, end })
  return outages.set(key, { type, subject, reporters })
}

function toEndOf(text: string | undefined): 'works' | 'moved' | 'stopped' {
  return text === 'moved' || text === 'stopped' ? text : 'works'
}

/**
 * The ends of outages that no process reports any more: each works again or is silent. A process that has stopped, or
 * whose partition has moved, counts once it has been silent too: the one that takes its place needs time to report.
 */
export function toEnds(outages: OutageReports, now: number): Notice[] {
  const isOver = ({ heardAt, silentAfterMs, end }: Reporter) =>
    end === 'works' || now - heardAt > silentAfterMs
  return [...outages.values()].filter(({ reporters }) => [...reporters.values()].every(isOver)).map(toEnd)
}

function toEnd({ type, subject, reporters }: Outage): Notice {
  const named = (end: Reporter['end']) =>
    [...reporters].flatMap(([name, reporter]) => (reporter.end === end ? [name] : [])).join(', ')
  const [works, moved, stopped, silent] = [named('works'), named('moved'), named('stopped'), named(null)]
  const words = [
    works ? `over, as reported by ${works}.` : 'not reported any more. Whether it is over is not known.',
    ...(moved ? [`The partition has moved away from ${moved}.`] : []),
    ...(stopped ? [`Stopped meanwhile: ${stopped}.`] : []),
    ...(silent ? [`Silent, perhaps dead: ${silent}.`] : []),
  ]
  return {
    ...{ type, subject, severity: 'info', state: 'resolved' },
    message: `${subject}: ${words.join(' ')}`,
    details: works ? {} : { end: 'unknown' },
  }
}
