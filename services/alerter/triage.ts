import type { Report } from './report.ts'

/** What is remembered of a kind that was told. */
export interface Known {
  state: Report['state']
  /** By partition: offset up to which the kind's records are in an alert that was posted. */
  told: ReadonlyMap<string, number>
}

/** What was told before, as far as a decision needs it. */
export interface Memory {
  known(kind: string): Known | undefined
  /** Alerts at once that the family has had within the running digest period. */
  announced(family: string): number
}

/** An alert to be posted at once: the first of a kind, and what came of the same kind right behind it. */
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
/** Alerts at once per family and digest period: a kind that flaps, or a type with many subjects, is then folded. */
export const announcementsMax = 5

/** What is older comes in a digest: it was not posted when it was news. */
export const newsMs = 3_600_000

/**
 * Decides what is told at once and what waits for the digest. A kind is in one of three states:
 *
 *     unknown --raised--> raised --resolved--> resolved --raised--> raised
 *     unknown --resolved--> resolved        (raised before this process started)
 *
 * Each arrow is an alert at once, or part of the digest when it is older than an hour or can wait. `raised` again while raised is
 * folded, or nothing new when its service says that it repeats itself; `resolved` again is nothing new. A record that a posted alert already covers is skipped, so a batch that comes again after half of its alerts
 * were posted does not tell them twice.
 *
 * @param now Unix time in milliseconds; infinite: everything is old
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
