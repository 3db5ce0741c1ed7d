import { isUnpolledForDays } from '../../lib/polling/judge.ts'
import type { PollingStanding } from '../../lib/polling/read.ts'
import type { BudgetState } from '../../lib/spotify/budget.ts'
import { lanes } from '../../lib/spotify/outcome.ts'
import { toPlural, toSpan } from '../../lib/words.ts'
import type { Part } from './part.ts'
import type { DatabaseParts } from './read-database.ts'
import type { KafkaParts, TopicEnds } from './read-kafka.ts'
import type { BudgetStatus, GroupStatus, StatusReport, TopicStatus, UserSummary } from './report.ts'
import { toConsumerStatus, toPollerStatus } from './services.ts'

/** Judges the parts that were read. */
export function toReport(parts: DatabaseParts & KafkaParts, now: Date): StatusReport {
  const topics = readValue(parts.topics)?.map(toTopicStatus) ?? null
  const groups = readValue(parts.groups)
  const budget = readValue(parts.budget)
  const alerts = readValue(parts.alerts)
  const polling = readValue(parts.polling)
  const services = toServices(parts, { groups, polling }, now)
  const unreadable = toUnreadable(parts)
  const deadLetters = topics?.find((t) => t.topic === parts.names.deadLetters && t.partitions)
  const problems = [
    ...services.filter((s) => s.state === 'down').map((s) => `${s.name} is down: ${s.detail}`),
    ...(polling ? toPollingProblems(polling) : []),
    ...toUserProblems(readValue(parts.users)),
    ...toStalls(groups ?? []),
    ...(alerts?.state === 'refused' ? [`alerts are not delivered: ${alerts.detail}`] : []),
    ...(topics ?? []).filter((t) => !t.partitions).map((t) => `topic ${t.topic} is missing: npm run migrate`),
    ...unreadable.map((u) => `${u.part}: ${u.error}`),
  ]
  return {
    at: now,
    healthy: problems.length === 0,
    problems,
    services,
    topics,
    groups,
    users: readValue(parts.users),
    plays: readValue(parts.plays),
    gaps: readValue(parts.gaps),
    deadLetters: deadLetters ? toDeadLetters(deadLetters, readValue(parts.decided)) : null,
    budget: budget && toBudgetStatus(budget, now),
    alerts,
    polling,
    unreadable,
  }
}

function toDeadLetters(
  { records, partitions }: TopicStatus,
  decided: { partition: number; offset: number }[] | null,
): StatusReport['deadLetters'] {
  const isThere = (place: { partition: number; offset: number }) =>
    partitions?.some(
      (p) => p.partition === place.partition && p.start <= place.offset && place.offset < p.end,
    ) ?? false
  return { records, open: decided && Math.max(0, records - decided.filter(isThere).length) }
}

function readValue<T>(part: Part<T>): T | null {
  return part.type === 'read' ? part.value : null
}

/** Parts that fail for the same reason, such as a server that is away, become one line. */
function toUnreadable(parts: DatabaseParts & KafkaParts): StatusReport['unreadable'] {
  const { users, plays, gaps, decided, traces, polling, budget, alerts, topics, groups } = parts
  const byError = new Map<string, string[]>()
  const read: [string, Part<unknown>][] = [
    ...Object.entries({ users, plays, gaps, decided, polling }),
    ['polling', traces],
    ...Object.entries({ budget, topics, groups }),
  ]
  for (const [name, part] of read) {
    if (part.type === 'read') continue
    const names = byError.get(part.error) ?? []
    byError.set(part.error, names.includes(name) ? names : [...names, name])
  }
  // Where Postgres is away, the alerts fail with an error that is listed already.
  if (alerts.type === 'unreadable' && !byError.has(alerts.error)) byError.set(alerts.error, ['alerts'])
  return [...byError].map(([error, names]) => ({ part: names.join(', '), error }))
}

function toTopicStatus(topic: TopicEnds): TopicStatus {
  const records = (topic.partitions ?? []).reduce((sum, p) => sum + p.end - p.start, 0)
  return { ...topic, records }
}

/** Stopped polling, and users who were not polled for more than a day. The doctor fails on the same. */
function toPollingProblems({ verdict, lastOkAt, now, unpolled }: PollingStanding): string[] {
  const last = lastOkAt === null ? 'ever' : `for ${toSpan(now - lastOkAt)}`
  const stopped = `polling has stopped: nobody has been polled ${last}, though users are due`
  const forDays = unpolled.filter(isUnpolledForDays).map((u) => u.userId)
  const many = `${toPlural(forDays.length, 'user')} not polled for more than a day: ${forDays.slice(0, 10).join(', ')}`
  return [...(verdict === 'stopped' ? [stopped] : []), ...(forDays.length > 0 ? [many] : [])]
}

/** A problem if users exist and none is active. */
function toUserProblems(users: UserSummary | null): string[] {
  if (!users) return []
  const count = Object.values(users.byStatus).reduce((sum, n) => sum + n, 0)
  return count > 0 && users.byStatus.active === 0
    ? [`nobody is polled: none of ${toPlural(count, 'user')} is active: songswap users list`]
    : []
}

/** Only stalls are problems: a group without members shows as a service that is down, and other lag is no problem. */
function toStalls(groups: readonly GroupStatus[]): string[] {
  return groups
    .filter((g) => g.verdict === 'stall')
    .map(({ group, lag, lagMs }) => {
      const oldest = lagMs === null ? '' : `, the oldest for ${toSpan(lagMs)}`
      return `${group} does not get on: ${toPlural(lag, 'record')} waiting${oldest}: songswap lag ${group}`
    })
}

function toServices(
  parts: DatabaseParts & KafkaParts,
  { groups, polling }: Pick<StatusReport, 'groups' | 'polling'>,
  now: Date,
): StatusReport['services'] {
  const { archiver, loaderHistory, loaderMetadata, enricher, alerter } = parts.names.groups
  return [
    toPollerStatus(readValue(parts.traces), polling, now),
    toConsumerStatus('archiver', [archiver], groups),
    toConsumerStatus('loader', [loaderHistory, loaderMetadata], groups),
    toConsumerStatus('enricher', [enricher], groups),
    toConsumerStatus('alerter', [alerter], groups),
  ]
}

function toBudgetStatus(budget: BudgetState, now: Date): BudgetStatus {
  const later = (ms: number) => new Date(now.getTime() + ms)
  return {
    dailyRequests: budget.dailyRequests,
    left: budget.left,
    windowEndsAt: later(budget.remainingMs),
    pauses: lanes
      .filter((lane) => budget.lanes[lane].pausedForMs > 0)
      .map((lane) => ({
        lane,
        until: later(budget.lanes[lane].pausedForMs),
        reason: budget.lanes[lane].reason,
      })),
  }
}
