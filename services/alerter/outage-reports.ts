import type { EventType, Notice } from '../../lib/events.ts'
import type { OperationalEvent } from '../../lib/topology.ts'

/** A process that has reported an outage. */
interface Reporter {
  /** When it was heard last, by the monotonic clock of this process. */
  heardAt: number
  silentAfterMs: number
  /** null while it reports the outage. `moved`: its partition is another process's now. */
  end: 'works' | 'moved' | 'stopped' | null
}

interface Outage {
  type: EventType
  subject: string
  /** By the name of the process. */
  reporters: ReadonlyMap<string, Reporter>
}

/** The open outages, by type and subject. */
export type OutageReports = ReadonlyMap<string, Outage>

const repeatSecondsDefault = 300
/** A process that has left out so many repetitions is silent. */
const repetitionsMissed = 3

/** Whether a process reports its own end of an outage; others may still report it, so it is no end to be posted. */
export function isEndOfOne({ state, details }: OperationalEvent): boolean {
  return state === 'resolved' && 'instance' in details
}

/**
 * The outages after an event. An end without the name of a process is the alerter's own, of the outage as a whole.
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
 * The ends of outages that nobody reports any more: each process has said that it works again, or is silent. One that
 * has stopped, or whose partition has moved, counts like one that is silent, because the process that takes its place
 * needs time to report it.
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
