import type { Severity } from '../../lib/events.ts'
import type { Alert } from './embed.ts'
import type { Report } from './report.ts'
import { examplesMax } from './triage.ts'

/** All folded reports of one family and state, as a count and a few examples. */
export interface DigestLine {
  title: string
  state: Report['state']
  severity: Severity
  count: number
  examples: string[]
  /** Unix times in milliseconds of the first and the last report. */
  firstAt: number
  lastAt: number
}

/** Lines by family and state. */
export type Digest = ReadonlyMap<string, DigestLine>

const linesMax = 200
const rank: Record<Severity, number> = { critical: 0, warning: 1, info: 2 }

/** Adds a report to a digest; families beyond {@link linesMax} share a line. */
export function addReport(digest: Digest, report: Report): Digest {
  const own = `${report.state} ${report.family}`
  const shared = digest.size >= linesMax && !digest.has(own)
  return addLine(digest, shared ? 'others' : own, {
    title: shared ? 'Others' : report.familyTitle,
    state: report.state,
    severity: report.severity,
    count: 1,
    examples: [report.example],
    firstAt: report.at,
    lastAt: report.at,
  })
}

/** Merges digests into one. */
export function mergeDigests(digests: readonly Digest[]): Digest {
  return digests
    .flatMap((d) => [...d])
    .reduce<Digest>((all, [key, line]) => addLine(all, key, line), new Map())
}

/** The message of a digest, or null if it is empty. */
export function toDigestAlert(digest: Digest, now: number): Alert | null {
  const lines = [...digest.values()].sort((a, b) => rank[a.severity] - rank[b.severity] || b.count - a.count)
  const [worst] = lines
  if (!worst) return null
  const total = lines.reduce((sum, line) => sum + line.count, 0)
  return {
    title: total === 1 ? 'Digest: 1 more report' : `Digest: ${total} more reports`,
    text: `Since ${new Date(Math.min(...lines.map((l) => l.firstAt))).toISOString()}`,
    severity: lines.every((l) => l.state === 'resolved') ? 'resolved' : worst.severity,
    fields: lines.map((line) => ({
      name: `${line.count} × ${line.title}${line.state === 'resolved' ? ' (resolved)' : ''}`,
      value: line.examples.join('\n'),
    })),
    footer: 'alerter',
    at: now,
  }
}

function addLine(digest: Digest, key: string, line: DigestLine): Digest {
  const before = digest.get(key)
  const merged = before && {
    ...before,
    severity: rank[line.severity] < rank[before.severity] ? line.severity : before.severity,
    count: before.count + line.count,
    examples: [...before.examples, ...line.examples].slice(0, examplesMax),
    firstAt: Math.min(before.firstAt, line.firstAt),
    lastAt: Math.max(before.lastAt, line.lastAt),
  }
  return new Map(digest).set(key, merged ?? line)
}
