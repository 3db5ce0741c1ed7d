import { describe, expect, test } from 'vitest'
import { toScreen } from '../../cli/status/screen.ts'
import type { PollingStanding } from '../../lib/polling/read.ts'
import type { BudgetState } from '../../lib/spotify/budget.ts'
import { topology } from '../../lib/topology.ts'
import { toReport } from './judge.ts'
import type { DatabaseParts } from './read-database.ts'
import type { KafkaParts } from './read-kafka.ts'

const now = new Date('2026-11-24T08:00:00Z')
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000)
const lane = { pausedForMs: 0, reason: null, strikes: 0, used: 0 }
const budget: BudgetState = {
  dailyRequests: 600,
  left: 412,
  remainingMs: 3_600_000,
  lanes: {
    polling: lane,
    enrichment: { ...lane, pausedForMs: 60_000, reason: 'rate_limited' },
    accounts: lane,
  },
}

const read = <T>(value: T) => ({ type: 'read', value }) as const
const away = (error: string) => ({ type: 'unreadable', error }) as const

const standing: PollingStanding = {
  now: now.getTime(),
  activeUsers: 3,
  lastOkAt: ago(4).getTime(),
  dueSince: null,
  allowedSince: 0,
  paused: null,
  verdict: 'polling',
  unpolled: [],
}

test('says that nobody is polled when users exist and none is active; without any user all is well', () => {
  const withUsers = (needsReauth: number, active: number) => {
    const byStatus = { active, needs_reauth: needsReauth, forbidden: 0, paused: 0 }
    return toReport({ ...allWell(), users: read({ byStatus, parked: [], consentsEnding: [] }) }, now)
  }
  expect(withUsers(2, 0).problems).toEqual([
    'nobody is polled: none of 2 users is active: songswap users list',
  ])
  expect([withUsers(0, 0), withUsers(2, 1)].map((r) => r.healthy)).toEqual([true, true])
})

function allWell(): DatabaseParts & KafkaParts {
  const t = topology('')
  const partitions = [{ partition: 0, start: 2, end: 10 }]
  const groups = Object.values(t.groups)
  return {
    names: { deadLetters: t.deadLetters.name, groups: t.groups },
    users: read({
      byStatus: { active: 3, needs_reauth: 0, forbidden: 0, paused: 0 },
      parked: [],
      consentsEnding: [],
    }),
    plays: read({ count: 1234, exact: true, newestPlayedAt: ago(50) }),
    gaps: read({ open: 0, users: 0 }),
    decided: read([]),
    traces: read({ sessions: 1, leases: 0, lastPollAt: ago(4), overdue: 0, overdueSince: null }),
    polling: read(standing),
    budget: read(budget),
    alerts: read({ state: 'posted', detail: 'by the webhook x', since: null }),
    topics: read([
      { topic: t.recentlyPlayed.name, partitions },
      { topic: t.deadLetters.name, partitions },
    ]),
    groups: read(
      groups.map((group) => ({
        group,
        state: 'Stable',
        members: 1,
        lag: 3,
        lagMs: 4_000,
        verdict: 'ok' as const,
        partitions: [],
      })),
    ),
  }
}

describe('toReport', () => {
  test('all is well', () => {
    const report = toReport(allWell(), now)
    expect(report).toMatchObject({
      healthy: true,
      problems: [],
      deadLetters: { records: 8, open: 8 },
      unreadable: [],
    })
    expect(report.services.map((s) => s.state)).toEqual(Array(5).fill('alive'))
    expect(report.groups?.map((g) => g.lag)).toEqual(Array(5).fill(3))
    expect(report.budget?.pauses).toEqual([
      { lane: 'enrichment', until: new Date('2026-11-24T08:01:00Z'), reason: 'rate_limited' },
    ])
  })

  test('dead letters that somebody decided on are not open, unless the topic has forgotten them', () => {
    const decided = read([
      { partition: 0, offset: 1 },
      { partition: 0, offset: 2 },
      { partition: 0, offset: 9 },
      { partition: 1, offset: 5 },
    ])
    expect(toReport({ ...allWell(), decided }, now).deadLetters).toEqual({ records: 8, open: 6 })
    const unknown = { ...allWell(), decided: away('no answer') }
    expect(toReport(unknown, now).deadLetters).toEqual({ records: 8, open: null })
  })

  test('a consent that ends soon is shown, and is no fault', () => {
    const user = { id: 7, spotifyId: 'a', displayName: 'Ann', endsAt: new Date('2026-11-30'), daysLeft: 5 }
    const byStatus = { active: 1, needs_reauth: 0, forbidden: 0, paused: 0 }
    const users = read({ byStatus, parked: [], consentsEnding: [user] })
    const report = toReport({ ...allWell(), users }, now)
    expect(report.healthy).toBe(true)
    const screen = toScreen(report, { width: 80, style: (_style, text) => text }).join('\n')
    expect(screen).toContain('user 7 (Ann): ends in 5 days, on 2026-11-30')
  })

  test('polling that has stopped, and a user unpolled for more than a day, have to be mended', () => {
    const unpolled = [30, 3].map((hours, i) => ({
      ...{ userId: i + 7, name: 'Ada', lastOkAt: null, lastError: 'server_error' },
      forMs: hours * 3_600_000,
    }))
    const late = toReport({ ...allWell(), polling: read({ ...standing, unpolled }) }, now)
    expect(late).toMatchObject({ healthy: false, problems: ['1 user not polled for more than a day: 7'] })
    expect(toScreen(late, { width: 80, style: (_, text) => text }).join('\n')).toContain(
      'user 8 (Ada) for 3h: server_error',
    )
    const stopped = { ...standing, verdict: 'stopped' as const, lastOkAt: ago(3_600).getTime() }
    expect(toReport({ ...allWell(), polling: read(stopped) }, now).problems).toEqual([
      'polling has stopped: nobody has been polled for 1h, though users are due',
    ])
  })

  test('a group that does not get on has to be mended; one that falls behind is shown', () => {
    const parts = allWell()
    if (parts.groups.type !== 'read') throw new Error('unexpected')
    const [first, ...rest] = parts.groups.value
    if (!first) throw new Error('unexpected')
    const judged = (verdict: 'stall' | 'warn') =>
      toReport({ ...parts, groups: read([{ ...first, verdict, lagMs: 3_600_000 }, ...rest]) }, now)
    expect(judged('stall')).toMatchObject({
      healthy: false,
      problems: ['archiver does not get on: 3 records waiting, the oldest for 1h: songswap lag archiver'],
    })
    expect(judged('warn')).toMatchObject({ healthy: true, problems: [] })
  })

  test('a loader with one of its groups without members is down', () => {
    const parts = allWell()
    if (parts.groups.type !== 'read') throw new Error('unexpected')
    const groups = parts.groups.value.map((g) => (g.group === 'loader.metadata' ? { ...g, members: 0 } : g))
    const report = toReport({ ...parts, groups: read(groups) }, now)
    expect(report.healthy).toBe(false)
    expect(report.problems).toEqual([
      'loader is down: 1 member in loader.history, 0 members in loader.metadata',
    ])
  })

  test('a missing topic is a problem, and dead letters of a missing topic are unknown', () => {
    const parts = { ...allWell(), topics: read([{ topic: 'dead-letters', partitions: null }]) }
    expect(toReport(parts, now)).toMatchObject({
      healthy: false,
      problems: ['topic dead-letters is missing: npm run migrate'],
      deadLetters: null,
    })
  })

  test('parts of a server that is away are one problem, the others are shown', () => {
    const gone = away('Kafka at x:1 does not answer')
    const report = toReport({ ...allWell(), topics: gone, groups: gone }, now)
    expect(report.unreadable).toEqual([{ part: 'topics, groups', error: 'Kafka at x:1 does not answer' }])
    expect(report).toMatchObject({ healthy: false, topics: null, groups: null, plays: { count: 1234 } })
    expect(report.services.map((s) => s.state)).toEqual(['alive', ...Array(4).fill('unknown')])
  })

  test('parked users, gaps, lag and pauses are no faults', () => {
    const parked = {
      id: 7,
      spotifyId: 'a',
      displayName: null,
      status: 'forbidden',
      statusReason: 'user_not_listed',
      statusChangedAt: ago(60),
    } as const
    const users = read({
      byStatus: { active: 1, needs_reauth: 0, forbidden: 1, paused: 0 },
      parked: [parked],
      consentsEnding: [],
    })
    const report = toReport({ ...allWell(), users, gaps: read({ open: 3, users: 2 }) }, now)
    expect(report.healthy).toBe(true)
  })
})

describe('toScreen', () => {
  const plain = { width: 80, style: (_: string, text: string) => text }

  test('every line fits 80 columns, whatever the reasons and errors say', () => {
    const reason = `\u001b[2J${'a very long reason with words '.repeat(10)}`
    const parked = {
      id: 7,
      spotifyId: 'a',
      displayName: null,
      status: 'forbidden',
      statusReason: reason,
      statusChangedAt: ago(60),
    } as const
    const users = read({
      byStatus: { active: 0, needs_reauth: 0, forbidden: 30, paused: 0 },
      parked: Array(30).fill(parked),
      consentsEnding: [],
    })
    const parts = { ...allWell(), users, plays: away('x '.repeat(100)) }
    const lines = toScreen(toReport(parts, now), plain)
    expect(lines.filter((line) => line.length > 80)).toEqual([])
    expect(lines.join('\n')).not.toContain('\u001b')
    expect(lines.join('\n')).toContain('and 20 more')
    expect(lines).toContain('plays         unknown')
  })

  test('an estimated count is marked', () => {
    const plays = read({ count: 2_000_000, exact: false, newestPlayedAt: null })
    expect(toScreen(toReport({ ...allWell(), plays }, now), plain)).toContain(
      'plays         ~2,000,000 stored',
    )
  })
})
