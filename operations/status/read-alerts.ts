import type { Env } from '../../lib/config.ts'
import { parseEnv } from '../../lib/config.ts'
import type { Sql } from '../../lib/postgres.ts'
import { webhookEnv } from '../../services/alerter/config.ts'
import { readRefusal } from '../../services/alerter/delivery.ts'
import { openDiscord } from '../../services/alerter/discord.ts'
import type { AlertStatus } from './report.ts'

const answerWithinMs = 4_000

/** The refusal that the alerter met, or else whether the webhook exists. */
export async function readAlerts(sql: Sql, env: Env): Promise<AlertStatus> {
  const refusal = await readRefusal(sql)
  if (refusal) return { state: 'refused', ...refusal }
  const webhook = parseEnv(webhookEnv, env).DISCORD_WEBHOOK_URL
  if (!webhook) return { state: 'log', detail: 'DISCORD_WEBHOOK_URL is not set here', since: null }
  const discord = openDiscord({ webhook, timeoutMs: answerWithinMs })
  const seen = await discord.look()
  await discord.close()
  switch (seen.type) {
    case 'exists':
      return { state: 'posted', detail: `by the webhook ${seen.name}`, since: null }
    case 'dead':
      return { state: 'refused', detail: `the webhook is dead (${seen.status})`, since: null }
    case 'limited':
      return { state: 'unknown', detail: 'Discord limits us now (429)', since: null }
    case 'unknown':
      return { state: 'unknown', detail: seen.detail, since: null }
  }
}
