import type { EventType } from '../../lib/events.ts'
import type { Event } from '../events/report.ts'

/** An incident from its beginning to its end, in Unix ms; `to` is null while it lasts. */
export interface Episode {
  type: string
  subject: string
  message: string
  from: number
  to: number | null
}

/** Events that explain why one user, or all users, were not polled often enough. */
const causes: ReadonlySet<string> = new Set<EventType>([
  'user_needs_reauth',
  'user_forbidden',
  'spotify_outage',
  'spotify_paused',
  'spotify_premium_lapsed',
  'spotify_endpoint_gated',
  'spotify_credentials',
  'tokens_unreadable',
  'tokens_of_another_app',
  'budget_short',
])

type CauseEvent = Pick<Event, 'type' | 'subject' | 'state' | 'message' | 'at'>

/** Incidents from raised to resolved, in the order of their beginnings; an end without a beginning is left out. */
export function toEpisodes(events: readonly CauseEvent[]): Episode[] {
  const episodes: Episode[] = []
  const running = new Map<string, Episode>()
  for (const { type, subject, state, message, at } of events) {
    if (!causes.has(type)) continue
    const key = `${type} ${subject}`
    const open = running.get(key)
    if (state !== 'resolved') {
      if (open) continue
      const episode = { type, subject, message, from: at.getTime(), to: null }
      running.set(key, episode)
      episodes.push(episode)
    } else if (open) {
      open.to = at.getTime()
      running.delete(key)
    }
  }
  return episodes
}

/** What is known about the time in which plays were lost. */
export interface Circumstances {
  userId: number
  /** When the newest play before the gap was played, and when the gap was found, in Unix ms. */
  from: number
  to: number
  episodes: readonly Episode[]
  /** The longest stretch without a page of any user, or null if none is long enough or it is unknown. */
  silence: { from: number; to: number } | null
}

/** Sentences on why plays were lost; never empty. */
export function toCauses({ userId, from, to, episodes, silence }: Circumstances): string[] {
  const subjects = new Set([`user:${userId}`, 'app', 'accounts'])
  const raised = episodes
    .filter((e) => subjects.has(e.subject) && e.from <= to && (e.to === null || e.to >= from))
    .map(
      (e) => `${e.type} from ${toTime(e.from)} ${e.to === null ? 'on' : `to ${toTime(e.to)}`}: ${e.message}`,
    )
  const silent = silence
    ? [
        `No page of anybody was published from ${toTime(silence.from)} to ${toTime(silence.to)}: the poller was down, or nobody listened.`,
      ]
    : []
  const known = [...raised, ...silent]
  if (known.length > 0) return known
  return [
    'No event explains it: more than 50 plays came between two polls. See POLL_MAX_INTERVAL_SECONDS and the request budget (songswap status).',
  ]
}

/** A silence explains a gap only if it is at least this share of the time. */
const leastPart = 1 / 3

/**
 * The longest stretch in which a topic did not grow, or null if it is too short.
 *
 * @param points moments (Unix ms) in order, with the sum of the topic's offsets at each
 */
export function longestSilence(
  points: readonly { at: number; records: number }[],
): { from: number; to: number } | null {
  const [first] = points
  const last = points.at(-1)
  if (!first || !last) return null
  let best: { from: number; to: number } | null = null
  let start = first
  for (const point of points) {
    if (point.records !== start.records) start = point
    if (point.at - start.at > (best ? best.to - best.from : 0)) best = { from: start.at, to: point.at }
  }
  return best && best.to - best.from >= (last.at - first.at) * leastPart ? best : null
}

function toTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}
