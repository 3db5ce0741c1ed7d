import { z } from 'zod'
import type { Env } from '../../lib/config.ts'
import { ConfigError, parseEnv, spotifyEnv, wholeNumber } from '../../lib/config.ts'
import { safePollIntervalMs } from '../../lib/spotify/budget-plan.ts'
import { readConfig as readAlerter } from '../../services/alerter/config.ts'
import { readConfig as readArchiver } from '../../services/archiver/config.ts'
import { readConfig as readEnricher } from '../../services/enricher/config.ts'
import { readConfig as readLoader } from '../../services/loader/config.ts'
import { readConfig as readPoller } from '../../services/poller/config.ts'
import { describe } from '../fault.ts'
import type { Operator } from '../operator.ts'
import type { Check, Notes } from './check.ts'
import { judgeBudget } from './poll-budget.ts'
import { findWeaknesses, secretNames } from './weak-secrets.ts'

/** The services whose settings are checked, by this process's environment. */
const services: readonly [string, (env: Env) => unknown][] = [
  ['poller', readPoller],
  ['archiver', readArchiver],
  ['loader', readLoader],
  ['enricher', readEnricher],
  ['alerter', readAlerter],
]

export const configurationCheck: Check = {
  name: 'configuration',
  looksAt: 'settings of all services, weak secrets, whether the request budget can poll everybody',
  withinMs: 8_000,
  hint: 'Set it in the environment or in .env.',
  async run(operator, notes) {
    noteFaults(operator.env, notes)
    noteSecrets(operator.env, notes)
    notePollInterval(operator.env, notes)
    await noteBudget(operator, notes)
  },
}

function noteFaults(env: Env, notes: Notes): void {
  const whose = new Map<string, string[]>()
  for (const [service, readConfig] of services) {
    for (const fault of faultsOf(readConfig, env)) whose.set(fault, [...(whose.get(fault) ?? []), service])
  }
  for (const [fault, names] of whose) {
    notes.fail('settings', `${fault} (${names.join(', ')})`, configurationCheck.hint)
  }
  if (whose.size === 0) notes.ok('settings', `valid for ${services.map(([name]) => name).join(', ')}`)
}

function faultsOf(readConfig: (env: Env) => unknown, env: Env): readonly string[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

function noteSecrets(env: Env, notes: Notes): void {
  const settings = Object.fromEntries(secretNames.map((name) => [name, readText(env, name)]))
  const weaknesses = findWeaknesses(settings)
  for (const { name, text, hint } of weaknesses) notes.warn(name, text, hint)
  if (weaknesses.length === 0) notes.ok('secrets', 'none is a known default or easily guessed')
}

/** A setting's text. `noteFaults` reports a file that cannot be read. */
function readText(env: Env, name: string): string | undefined {
  try {
    return parseEnv({ [name]: z.string().optional() }, env)[name]
  } catch {
    return undefined
  }
}

function notePollInterval(env: Env, notes: Notes): void {
  const seconds = readNumber(env, 'POLL_MAX_INTERVAL_SECONDS')
  if (seconds === null || seconds * 1000 <= safePollIntervalMs) return
  notes.warn(
    'POLL_MAX_INTERVAL_SECONDS',
    `${seconds}: 50 plays can pass between two polls, and the older ones are lost`,
    `Leave it at ${safePollIntervalMs / 1000} or below.`,
  )
}

function readNumber(env: Env, name: string): number | null {
  const text = readText(env, name)
  if (text === undefined) return null
  return wholeNumber(1).safeParse(text).data ?? null
}

async function noteBudget(operator: Operator, notes: Notes): Promise<void> {
  const shape = { SPOTIFY_DAILY_REQUESTS: spotifyEnv.SPOTIFY_DAILY_REQUESTS }
  const parsed = z
    .object(shape)
    .safeParse({ SPOTIFY_DAILY_REQUESTS: readText(operator.env, 'SPOTIFY_DAILY_REQUESTS') })
  if (!parsed.success) return
  try {
    const sql = await operator.postgres()
    const { rows } = await sql.query<{ count: number }>(
      `select count(*) as count from users where status = 'active'`,
    )
    const verdict = judgeBudget({
      activeUsers: rows[0]?.count ?? 0,
      dailyRequests: parsed.data.SPOTIFY_DAILY_REQUESTS,
    })
    notes.add({ subject: 'request budget', ...verdict })
  } catch (error) {
    notes.warn('request budget', `users cannot be counted: ${describe(error)}`, 'See the check of Postgres.')
  }
}
