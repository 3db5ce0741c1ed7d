import { parseEnv } from '../../lib/config.ts'
import { toUtc } from '../../lib/words.ts'
import { webhookEnv } from '../../services/alerter/config.ts'
import { readRefusal } from '../../services/alerter/delivery.ts'
import type { Discord } from '../../services/alerter/discord.ts'
import { openDiscord } from '../../services/alerter/discord.ts'
import { toMessages } from '../../services/alerter/embed.ts'
import { describe } from '../fault.ts'
import type { Operator } from '../operator.ts'
import type { Check, Notes } from './check.ts'

const answerWithinMs = 5_000
const newWebhook = 'Make a new one (channel settings, Integrations) and set DISCORD_WEBHOOK_URL.'

export const discordCheck: Check = {
  name: 'discord',
  looksAt: 'whether the webhook is there and takes alerts; with `--post`, whether it posts',
  withinMs: 15_000,
  hint: 'Is Discord reachable from here?',
  async run(operator, notes, { post }) {
    const webhook = parseEnv(webhookEnv, operator.env).DISCORD_WEBHOOK_URL
    if (!webhook) {
      const text = 'DISCORD_WEBHOOK_URL is not set: alerts go to the log alone'
      notes.warn('webhook', text, 'Set it to the address of a webhook, or watch the log.')
      return
    }
    const discord = openDiscord({ webhook, timeoutMs: answerWithinMs })
    try {
      const exists = await noteWebhook(discord, notes)
      await noteDelivery(operator, notes)
      if (exists && post) await notePost(discord, notes)
    } finally {
      await discord.close()
    }
  },
}

/** Reads the webhook without posting. */
async function noteWebhook(discord: Discord, notes: Notes): Promise<boolean> {
  const seen = await discord.look()
  if (seen.type === 'exists') notes.ok('webhook', `it exists: ${seen.name}`)
  else if (seen.type === 'limited') {
    notes.warn('webhook', 'Discord limits us now (429)', 'Try again in a minute.')
  } else if (seen.type === 'dead') {
    const text = seen.status === 404 ? 'it was deleted (404)' : `its token is wrong (${seen.status})`
    notes.fail('webhook', text, newWebhook)
  } else notes.fail('webhook', seen.detail, 'Try again later: https://discordstatus.com')
  return seen.type === 'exists'
}

/** Reports a refusal that the alerter met: only a post shows that a channel refuses alerts. */
async function noteDelivery(operator: Operator, notes: Notes): Promise<void> {
  try {
    const refusal = await readRefusal(await operator.postgres())
    if (!refusal) return
    const text = `no alert is delivered since ${toUtc(refusal.since)}: ${refusal.detail}`
    notes.fail('delivery', text, 'Alerts wait in their topics, and are posted when Discord takes them.')
  } catch (error) {
    const text = `whether alerts are delivered cannot be read: ${describe(error)}`
    notes.warn('delivery', text, 'See the check of Postgres.')
  }
}

async function notePost(discord: Discord, notes: Notes): Promise<void> {
  const [pack] = toMessages([
    {
      title: 'A test',
      text: 'songswap doctor --post asked for this message. Alerts will arrive here.',
      severity: 'info',
      fields: [],
      footer: 'songswap doctor',
      at: Date.now(),
    },
  ])
  if (!pack) return
  const outcome = await discord.post(pack.message)
  if (outcome.type === 'sent') notes.ok('post', 'a test message was posted')
  else if (outcome.type === 'limited') {
    notes.warn(
      'post',
      'Discord limits us now (429)',
      `Try again in ${Math.ceil(outcome.retryAfterMs / 1000)} s.`,
    )
  } else notes.fail('post', `${outcome.type}: ${outcome.detail}`, newWebhook)
}
