import type { Report } from './report.ts'

/** What is remembered of a kind that was posted or folded. */
export interface Known {
  state: Report['state']
  /** By partition: the offset up to which posted alerts cover the kind's records. */
  told: ReadonlyMap<string, number>
}

/** The past that a decision depends on. */
export interface Memory {
  known(kind: string): Known | undefined
  /** How many alerts of the family were posted at once within the last digest period. */
  announced(family: string): number
}

/** An alert to post at once: the first report of a kind, and those of the same kind that follow it in the batch. */
export interface Announcement {
  first: Report
  last: Report
  count: number
  examples: string[]
}

export interface Triage {
  announcements: Announcement[]
  /** For the digest. */
  folded: Report[]
}

export const examplesMax = 5
/** The most alerts posted at once per family and digest period: kinds may flap, and types may have many subjects. */
export const announcementsMax = 5

/** A report older than this waits for the digest. */
export const newsMs = 3_600_000

/**
 * Decides what is posted at once and what waits for the digest. A kind is in one of three states:
 *
 *     unknown --raised--> raised --resolved--> resolved --raised--> raised
 *     unknown --resolved--> resolved        (raised before this process started)
 *
 * Each arrow is posted at once. It is folded into the digest if it is older than an hour, is `isDigestOnly`, or is
 * beyond {@link announcementsMax}. `raised` while raised is folded, or dropped if its service only repeats it;
 * `resolved` while resolved is dropped. A record that a posted alert covers is skipped, so a batch that comes again
 * after half of its alerts were posted does not post them twice.
 *
 * @param now Unix time in milliseconds; if infinite, every report is old
 */
export function triage(reports: readonly Report[], memory: Memory, now: number): Triage {
  const announcements: Announcement[] = []
  const folded: Report[] = []
  const states = new Map<string, Report['state']>()
  const current = new Map<string, Announcement>()
  const announced = new Map<string, number>()

  for (const report of reports) {
    const { kind, family, state } = report
    const known = memory.known(kind)
    if (report.offset <= (known?.told.get(report.partition) ?? -1)) continue
    const running = current.get(kind)
    if (running?.first.state === state) {
      add(running, report)
      continue
    }
    if ((states.get(kind) ?? known?.state) === state) {
      if (state === 'raised' && !report.isRepeat) folded.push(report)
      continue
    }
    states.set(kind, state)
    current.delete(kind)
    const before = announced.get(family) ?? memory.announced(family)
    if (before >= announcementsMax || report.isDigestOnly || report.at < now - newsMs) {
      folded.push(report)
      continue
    }
    announced.set(family, before + 1)
    const announcement = { first: report, last: report, count: 1, examples: [report.example] }
    announcements.push(announcement)
    current.set(kind, announcement)
  }
  return { announcements, folded }
}

function add(announcement: Announcement, report: Report): void {
  announcement.count += 1
  announcement.last = report
  if (announcement.examples.length < examplesMax) announcement.examples.push(report.example)
}
