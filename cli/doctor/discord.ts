import { request } from 'undici'
import { parseEnv } from '../../lib/config.ts'
import { RetriableError } from '../../lib/errors.ts'
import type { Secret } from '../../lib/secret.ts'
import { webhookEnv } from '../../services/alerter/config.ts'
import { openDiscord } from '../../services/alerter/discord.ts'
import { toMessages } from '../../services/alerter/embed.ts'
import { toPrintable } from '../table.ts'
import type { Check, DoctorContext, Notes } from './check.ts'

const answerWithinMs = 5_000
const newWebhook = 'Make a new one (channel settings, Integrations) and set DISCORD_WEBHOOK_URL.'

/** Discord: whether the webhook is there; with `--post`, whether it posts. */
export const discordCheck: Check = {
  name: 'discord',
  withinMs: 15_000,
  hint: 'Is Discord reachable from here?',
  async run(context, notes) {
    const webhook = parseEnv(webhookEnv, context.env).DISCORD_WEBHOOK_URL
    if (!webhook) {
      const text = 'DISCORD_WEBHOOK_URL is not set: alerts go to the log alone'
      notes.warn('webhook', text, 'Set it to the address of a webhook, or watch the log.')
      return
    }
    const exists = await noteWebhook(webhook, notes)
    if (exists && context.post) await notePost(context, webhook, notes)
  },
}

/** Looks at the webhook; this posts nothing. */
async function noteWebhook(webhook: Secret, notes: Notes): Promise<boolean> {
  const answer = await request(webhook.reveal(), {
    headers: { 'user-agent': 'songswap-stream (doctor)' },
    signal: AbortSignal.timeout(answerWithinMs),
  }).catch((cause) => {
    throw new RetriableError(`${new URL(webhook.reveal()).host} does not answer`, { cause })
  })
  const body = await answer.body.text()
  const status = answer.statusCode
  if (status === 200) notes.ok('webhook', `it exists: ${toPrintable(nameOf(body))}`)
  else if (status === 404) notes.fail('webhook', 'it was deleted (404)', newWebhook)
  else if (status === 401) notes.fail('webhook', 'its token is wrong (401)', newWebhook)
  else if (status === 429) notes.warn('webhook', 'Discord limits us now (429)', 'Try again in a minute.')
  else notes.fail('webhook', `Discord answers ${status}`, 'Try again later: https://discordstatus.com')
  return status === 200
}

function nameOf(body: string): string {
  try {
    return String(JSON.parse(body).name)
  } catch {
    return 'without a name'
  }
}

async function notePost({ scope }: DoctorContext, webhook: Secret, notes: Notes): Promise<void> {
  const discord = await scope.use(openDiscord({ webhook, timeoutMs: answerWithinMs }), 'discord')
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
