import type { Operator } from '../operator.ts'
import { brokerCheck } from './broker.ts'
import type { Allowed, Check } from './check.ts'
import { runCheck, worst } from './check.ts'
import { clockCheck } from './clock.ts'
import { configurationCheck } from './configuration.ts'
import { discordCheck } from './discord.ts'
import { diskCheck } from './disk.ts'
import { lagCheck } from './lag.ts'
import { postgresCheck } from './postgres.ts'
import { registryCheck } from './registry.ts'
import type { CheckReport, DoctorReport } from './report.ts'
import { s3Check } from './s3.ts'
import { spotifyCheck } from './spotify.ts'
import { usersCheck } from './users.ts'

/** In the order in which an operator would check them. */
export const checks: readonly Check[] = [
  configurationCheck,
  brokerCheck,
  lagCheck,
  registryCheck,
  postgresCheck,
  s3Check,
  spotifyCheck,
  usersCheck,
  discordCheck,
  clockCheck,
  diskCheck,
]

/**
 * Runs checks concurrently; each has its own time limit, and none stops another.
 *
 * @param choice.only names of checks; absent for all
 * @param onCheck called for each check in order, as soon as it and all before it have ended
 */
export async function examine(
  operator: Operator,
  { only, ...allowed }: Allowed & { only?: readonly string[] | undefined },
  { onCheck }: { onCheck?: (report: CheckReport) => void } = {},
): Promise<DoctorReport> {
  const chosen = checks.filter(({ name }) => only?.includes(name) ?? true)
  const running = chosen.map((check) => runCheck(check, operator, allowed))
  for (const report of running) onCheck?.(await report)
  const reports = await Promise.all(running)
  const healthy = worst(reports.map((report) => report.state)) !== 'fail'
  return { at: new Date(), healthy, checks: reports }
}
