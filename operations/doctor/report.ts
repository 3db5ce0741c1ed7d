import { z } from 'zod'
import { userStatus } from '../users/report.ts'

const state = z
  .enum(['ok', 'warn', 'fail'])
  .describe('warn: it works, but somebody should look; fail: something does not work, or plays get lost')

/** One result of a check. */
const finding = z.object({
  state,
  subject: z.string().describe('what was looked at'),
  text: z.string().describe('what was found'),
  hint: z.string().nullable().describe('what to do, or null where there is nothing to do'),
})

const troubledUser = z.object({
  id: z.int(),
  spotifyId: z.string(),
  displayName: z.string().nullable(),
  status: userStatus,
  tokenAgeDays: z.int().nullable().describe('null if it is not known when the user agreed'),
  consentDaysLeft: z.int().nullable(),
  lastOkAt: z.date().nullable(),
  openGaps: z.int(),
  troubles: z.array(z.string()).describe('worst first'),
})

const userTroubles = z.object({ total: z.int(), well: z.int(), troubled: z.array(troubledUser) })

const checkReport = z.object({
  name: z.string(),
  state: state.describe('the worst of its findings'),
  ms: z.int(),
  findings: z.array(finding),
  detail: userTroubles.nullable().describe('of the check of the users, where one is in trouble'),
})

export const doctorReport = z.object({
  at: z.date(),
  healthy: z.boolean().describe('true if nothing fails'),
  checks: z.array(checkReport),
})

export type State = z.infer<typeof state>
export type Finding = z.infer<typeof finding>
export type TroubledUser = z.infer<typeof troubledUser>
export type UserTroubles = z.infer<typeof userTroubles>
export type CheckReport = z.infer<typeof checkReport>
export type DoctorReport = z.infer<typeof doctorReport>
