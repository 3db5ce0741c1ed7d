import { z } from 'zod'
import type { PollingVerdict } from '../../lib/polling/judge.ts'
import { lanes } from '../../lib/spotify/outcome.ts'
import { groupStanding } from '../lag/report.ts'
import { userStatus } from '../users/report.ts'

const serviceStatus = z.object({
  name: z.string(),
  state: z.enum(['alive', 'down', 'unknown']).describe('unknown if there is no sign of either'),
  detail: z.string(),
})

const topicStatus = z.object({
  topic: z.string(),
  partitions: z
    .array(
      z.object({
        partition: z.int(),
        start: z.int().describe('first offset that the topic still has'),
        end: z.int().describe('offset that the next record will get'),
      }),
    )
    .nullable()
    .describe('null if the topic is missing'),
  records: z.int().describe('at most; compaction and transactions leave holes'),
})

const groupStatus = groupStanding.extend({ members: z.int() })

const user = z.object({
  id: z.int(),
  spotifyId: z.string(),
  displayName: z.string().nullable(),
})

const consentEnding = user.extend({
  endsAt: z.date().nullable().describe('null if it is not known when the user agreed'),
  daysLeft: z.int().nullable(),
})

const userSummary = z.object({
  byStatus: z.record(userStatus, z.int()),
  parked: z
    .array(
      user.extend({ status: userStatus, statusReason: z.string().nullable(), statusChangedAt: z.date() }),
    )
    .describe('users who are not polled, longest first; at most 100'),
  consentsEnding: z
    .array(consentEnding)
    .describe('users whose consent ends within 30 days, soonest first; at most 100'),
})

const playSummary = z.object({
  count: z.int(),
  exact: z.boolean().describe('false if the count is an estimate'),
  newestPlayedAt: z.date().nullable(),
})

const budgetStatus = z.object({
  dailyRequests: z.int(),
  left: z.int(),
  windowEndsAt: z.date(),
  pauses: z.array(z.object({ lane: z.enum(lanes), until: z.date(), reason: z.string().nullable() })),
})

const alertStatus = z.object({
  state: z
    .enum(['posted', 'refused', 'log', 'unknown'])
    .describe(
      'whether alerts reach Discord, as far as that shows without a post; log: no webhook is set here',
    ),
  detail: z.string(),
  since: z.date().nullable().describe('when the alerter met the refusal'),
})

const unpolledUser = z.object({
  userId: z.int(),
  name: z.string(),
  lastOkAt: z.date().nullable().describe('null if the user was never polled'),
  forMs: z.number(),
  lastError: z.string().nullable(),
})

const unixMs = z.number().nullable()

const pollingStanding = z.object({
  now: z.number().describe("Unix time in milliseconds by the database's clock, as are the times below"),
  lastOkAt: unixMs.describe('when any user was polled with success last, or null if none ever was'),
  dueSince: unixMs.describe('since when an active user should have been polled, or null if none should'),
  activeUsers: z.int(),
  allowedSince: unixMs.describe('since when polling is allowed (0: always), or null while it is not'),
  paused: z
    .object({ from: z.number(), until: z.number() })
    .nullable()
    .describe('the last pause, where it excuses silence'),
  verdict: z.enum(['polling', 'idle', 'not_allowed', 'stopped'] satisfies PollingVerdict[]),
  unpolled: z
    .array(unpolledUser)
    .describe('active users who should have been polled and were not, longest first; at most 200'),
})

/** Problems that need action, and the state of every part. A part that cannot be read is null. */
export const statusReport = z.object({
  at: z.date(),
  healthy: z.boolean().describe('true if there are no problems'),
  problems: z.array(z.string()).describe('what has to be mended, a line each'),
  services: z.array(serviceStatus),
  topics: z.array(topicStatus).nullable(),
  groups: z.array(groupStatus).nullable(),
  users: userSummary.nullable(),
  plays: playSummary.nullable(),
  gaps: z.object({ open: z.int(), users: z.int() }).nullable(),
  deadLetters: z
    .object({
      records: z.int(),
      open: z
        .int()
        .nullable()
        .describe('those that no operator has decided on, or null if that is not known'),
    })
    .nullable(),
  budget: budgetStatus.nullable(),
  alerts: alertStatus.nullable(),
  polling: pollingStanding.nullable(),
  unreadable: z.array(z.object({ part: z.string(), error: z.string() })),
})

export type ServiceStatus = z.infer<typeof serviceStatus>
export type TopicStatus = z.infer<typeof topicStatus>
export type GroupStatus = z.infer<typeof groupStatus>
export type ConsentEnding = z.infer<typeof consentEnding>
export type UserSummary = z.infer<typeof userSummary>
export type PlaySummary = z.infer<typeof playSummary>
export type BudgetStatus = z.infer<typeof budgetStatus>
export type AlertStatus = z.infer<typeof alertStatus>
export type StatusReport = z.infer<typeof statusReport>
