import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Channel } from './channel.ts'
import { toChannelPage } from './channel-page.ts'
import { type DiscordFaultName, isDiscordFaultName } from './faults.ts'

const faultName = z.custom<DiscordFaultName>(
  (value) => typeof value === 'string' && isDiscordFaultName(value),
  'unknown fault',
)
const faultsBody = z.strictObject({
  clear: z.literal(true).optional(),
  script: z
    .array(
      z.strictObject({
        fault: faultName,
        count: z.number().int().positive().default(1),
        retryAfterSeconds: z.number().positive().default(1.5),
      }),
    )
    .default([]),
  webhook: z.enum(['deleted', 'present']).optional(),
  channel: z.enum(['text', 'forum']).optional(),
})

/** The page of the channel, and the simulator's own API under `/_sim`. */
export function controlRoutes(app: FastifyInstance, channel: Channel): void {
  app.get('/', (_, reply) => reply.type('text/html; charset=utf-8').send(toChannelPage(channel.messages)))
  app.get('/_sim/messages', async () => ({ messages: channel.messages }))
  app.get('/_sim/stats', async () => ({ posted: channel.posted, answers: channel.answers }))
  app.post('/_sim/faults', async (request) => {
    const { clear, script, webhook, channel: kind } = faultsBody.parse(request.body)
    if (clear) channel.scripts = []
    for (const one of script) channel.scripts.push({ script: one, left: one.count })
    if (webhook) channel.deleted = webhook === 'deleted'
    if (kind) channel.kind = kind
    return { ok: true }
  })
}
