import fastify, { type FastifyInstance } from 'fastify'
import { ZodError } from 'zod'
import {
  type Channel,
  createChannel,
  type DiscordFaultScript,
  type DiscordSimulatorOptions,
  type PostedMessage,
} from './channel.ts'
import { controlRoutes } from './control-routes.ts'
import { webhookRoutes } from './webhook-routes.ts'

/** A running simulator. Everything that `/_sim` does over HTTP is here as a method. */
export interface DiscordSimulator {
  /** The page that shows the channel. */
  url: string
  /** A secret at Discord: never log it. */
  webhookUrl: string
  /** Posted messages, oldest first. */
  messages: readonly PostedMessage[]
  /** Count of answers by method and status, e.g. `POST 404`. */
  answers: Readonly<Record<string, number>>
  scriptFault(script: DiscordFaultScript): void
  clearFaults(): void
  /** A deleted webhook answers 404 from now on. */
  deleteWebhook(): void
  restoreWebhook(): void
  /** Threads of a forum: name by id. */
  threads: ReadonlyMap<string, string>
  /** Changes what the webhook posts to; a forum takes messages only in threads. */
  become(kind: 'text' | 'forum'): void
  deleteThreads(): void
  /** Refuses messages with this text, as Discord's moderation does; null refuses none. */
  block(text: string | null): void
  stop(): Promise<void>
}

/** @throws when the port is taken */
export async function startDiscordSimulator(
  options: Partial<DiscordSimulatorOptions> = {},
): Promise<DiscordSimulator> {
  const channel = createChannel(options)
  const app = fastify({ forceCloseConnections: true, exposeHeadRoutes: false, bodyLimit: 8 << 20 })
  app.setErrorHandler((error, _, reply) => {
    if (error instanceof ZodError) return reply.code(400).send({ message: error.message, code: 0 })
    return reply.code(400).send({ message: 'The request body contains invalid JSON.', code: 50109 })
  })
  webhookRoutes(app, channel)
  controlRoutes(app, channel)
  await app.listen({ host: channel.options.host, port: channel.options.port })
  return toSimulator(app, channel)
}

function toSimulator(app: FastifyInstance, channel: Channel): DiscordSimulator {
  const { host, port, webhookId, webhookToken } = channel.options
  const address = app.server.address()
  const listening = typeof address === 'object' && address !== null ? address.port : port
  const url = `http://${host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host}:${listening}`
  return {
    url,
    webhookUrl: `${url}/api/webhooks/${webhookId}/${webhookToken}`,
    messages: channel.messages,
    answers: channel.answers,
    scriptFault: (script) => void channel.scripts.push({ script, left: script.count ?? 1 }),
    clearFaults: () => {
      channel.scripts = []
    },
    deleteWebhook: () => {
      channel.deleted = true
    },
    restoreWebhook: () => {
      channel.deleted = false
    },
    threads: channel.threads,
    become: (kind) => {
      channel.kind = kind
    },
    deleteThreads: () => channel.threads.clear(),
    block: (text) => {
      channel.blocked = text
    },
    stop: () => app.close(),
  }
}
