import { Help } from 'commander'
import { toCount, toPlural, toRelative, toSpan, toUtc } from '../../lib/words.ts'
import type {
  AlertStatus,
  ConsentEnding,
  ServiceStatus,
  StatusReport,
} from '../../operations/status/report.ts'
import type { Output } from '../terminal/output.ts'
import { toPrintable, toTable } from '../terminal/table.ts'
import { toReason } from '../users/list.ts'

const stateStyle = { alive: 'green', down: 'red', unknown: 'yellow' } as const
const labelWidth = 14
const parkedShown = 10

type Painter = Pick<Output, 'style' | 'width'>

/** The report as lines for a person. */
export function toScreen(report: StatusReport, out: Painter): string[] {
  const verdict = report.healthy
    ? out.style('green', 'all is well')
    : out.style('red', toPlural(report.problems.length, 'problem'))
  return [
    `${out.style('bold', 'songswap')}  ${toUtc(report.at)}  ${verdict}`,
    '',
    ...report.services.flatMap((s) => toServiceLines(s, out)),
    ...section(toTopicLines(report, out.width)),
    ...section(toGroupLines(report, out.width)),
    '',
    ...toFacts(report).flatMap(([label, text]) => toLines(label, text, out.width)),
    ...section(report.unreadable.flatMap(({ part, error }) => toUnreadableLines(part, error, out))),
  ]
}

function section(lines: string[]): string[] {
  return lines.length > 0 ? ['', ...lines] : []
}

function toServiceLines({ name, state, detail }: ServiceStatus, out: Painter): string[] {
  const [first = '', ...rest] = toLines(name, `${state.padEnd(9)}${detail}`, out.width)
  return [first.replace(state, out.style(stateStyle[state], state)), ...rest]
}

function toTopicLines({ topics }: StatusReport, width: number): string[] {
  if (!topics) return []
  return toTable(
    [
      { title: 'TOPIC', shrinks: true },
      { title: 'PARTITIONS', align: 'right' },
      { title: 'END OFFSETS', align: 'right' },
      { title: 'RECORDS', align: 'right' },
    ],
    topics.map(({ topic, partitions, records }) =>
      partitions
        ? [topic, toCount(partitions.length), toCount(sumOf(partitions.map((p) => p.end))), toCount(records)]
        : [topic, 'missing', '-', '-'],
    ),
    width,
  )
}

function toGroupLines({ groups }: StatusReport, width: number): string[] {
  if (!groups) return []
  return toTable(
    [
      { title: 'GROUP', shrinks: true },
      { title: 'STATE' },
      { title: 'MEMBERS', align: 'right' },
      { title: 'LAG', align: 'right' },
      { title: 'OLDEST', align: 'right' },
      { title: 'VERDICT' },
    ],
    groups.map(({ group, state, members, lag, lagMs, verdict }) => [
      group,
      state,
      toCount(members),
      toCount(lag),
      lag === 0 || lagMs === null ? '-' : toSpan(lagMs),
      verdict,
    ]),
    width,
  )
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, n) => sum + n, 0)
}

/** The lines after the tables, each with its label. */
function toFacts(report: StatusReport): [string, string][] {
  const facts: [string, string | null][] = [
    ['plays', toPlays(report)],
    ['users', toUsers(report)],
    ...toUnpolled(report),
    ['open gaps', report.gaps && toGaps(report.gaps)],
    ['dead letters', report.deadLetters && toDeadLetters(report.deadLetters)],
    ['alerts', report.alerts && toAlerts(report.alerts, report.at)],
    ['budget', toBudget(report)],
    ...(report.budget?.pauses ?? []).map(({ lane, until, reason }): [string, string] => [
      'paused',
      `${lane} until ${toUtc(until)}: ${toPrintable(reason ?? 'no reason given')}`,
    ]),
    ...toParked(report),
    ...toConsents(report),
  ]
  return facts.map(([label, text]) => [label, text ?? 'unknown'])
}

function toPlays({ plays, at }: StatusReport): string | null {
  if (!plays) return null
  const count = `${plays.exact ? '' : '~'}${toCount(plays.count)} stored`
  return plays.newestPlayedAt ? `${count}, newest ${toRelative(plays.newestPlayedAt, at)}` : count
}

function toUsers({ users }: StatusReport): string | null {
  if (!users) return null
  const counts = Object.entries(users.byStatus).filter(([status, n]) => n > 0 || status === 'active')
  return counts.map(([status, n]) => `${toCount(n)} ${status}`).join(', ')
}

function toGaps({ open, users }: { open: number; users: number }): string {
  return open > 0 ? `${toCount(open)}, of ${toPlural(users, 'user')}` : '0'
}

function toBudget({ budget }: StatusReport): string | null {
  if (!budget) return null
  const { left, dailyRequests, windowEndsAt } = budget
  return `${toCount(left)} of ${toCount(dailyRequests)} requests left until ${toUtc(windowEndsAt)}`
}

function toParked({ users }: StatusReport): [string, string][] {
  if (!users) return []
  const total = sumOf(Object.values(users.byStatus)) - users.byStatus.active
  const shown = users.parked.slice(0, parkedShown).map((u): [string, string] => ['parked', toReason(u)])
  const more = total - shown.length
  return more > 0 ? [...shown, ['parked', `and ${toCount(more)} more: songswap users list`]] : shown
}

function toDeadLetters({ records, open }: NonNullable<StatusReport['deadLetters']>): string {
  const kept = `${toCount(records)} in the topic`
  return open === null ? kept : `${toCount(open)} open, ${kept}`
}

function toUnpolled({ polling }: StatusReport): [string, string][] {
  const unpolled = polling?.unpolled ?? []
  const more = unpolled.length - parkedShown
  return [
    ...unpolled
      .slice(0, parkedShown)
      .map((u): [string, string] => [
        'unpolled',
        `user ${u.userId} (${toPrintable(u.name)}) for ${toSpan(u.forMs)}: ${toPrintable(u.lastError ?? 'no failure is known')}`,
      ]),
    ...(more > 0 ? [['unpolled', `and ${toCount(more)} more: songswap doctor --only users`] as const] : []),
  ].map(([label, text]) => [label, text])
}

function toAlerts({ state, detail, since }: AlertStatus, now: Date): string {
  const begun = since === null ? '' : `, first met ${toRelative(since, now)}`
  return `${alertWords[state]}${begun}: ${toPrintable(detail)}`
}

const alertWords: Record<AlertStatus['state'], string> = {
  posted: 'posted to Discord',
  refused: 'not delivered',
  log: 'in the log of the alerter only',
  unknown: 'unknown',
}

function toConsents({ users }: StatusReport): [string, string][] {
  const ending = users?.consentsEnding ?? []
  const more = ending.length - parkedShown
  return [
    ...ending
      .slice(0, parkedShown)
      .map((u): [string, string] => [
        'consent',
        `user ${u.id} (${toPrintable(u.displayName ?? u.spotifyId)}): ${toEnd(u)}: songswap users connect`,
      ]),
    ...(more > 0 ? ([['consent', `and ${toCount(more)} more: songswap users list`]] as const) : []),
  ].map(([label, text]) => [label, text])
}

function toEnd({ endsAt, daysLeft }: ConsentEnding): string {
  if (endsAt === null || daysLeft === null) return 'of unknown age, may end any day'
  return `ends in ${toPlural(daysLeft, 'day')}, on ${endsAt.toISOString().slice(0, 10)}`
}

function toUnreadableLines(part: string, error: string, out: Painter): string[] {
  const [first = '', ...rest] = toLines('unreadable', `${part}: ${error}`, out.width)
  return [first.replace('unreadable', out.style('red', 'unreadable')), ...rest]
}

/** A label and its text, wrapped to the width and indented. */
function toLines(label: string, text: string, width: number): string[] {
  const lines = new Help().boxWrap(text, width - labelWidth).split('\n')
  return lines.map((line, i) => `${(i === 0 ? label : '').padEnd(labelWidth)}${line}`.trimEnd())
}
