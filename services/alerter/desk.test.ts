import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { RetriableError } from '../../lib/errors.ts'
import { Health } from '../../lib/health.ts'
import { openLog } from '../../lib/log.ts'
import { Secret } from '../../lib/secret.ts'
import { startDiscordSimulator } from '../../simulators/discord/simulator.ts'
import { AlertDesk } from './desk.ts'
import { openDiscord } from './discord.ts'
import { AlertMemory } from './memory.ts'
import { Poster } from './poster.ts'
import { MessageRate } from './rate.ts'
import { toEventReport } from './report.ts'

const log = openLog('test', 'silent')

test('alerts beside a refused one are posted once each, however narrow the rate limit', async () => {
  const simulator = await startDiscordSimulator({ bucket: { limit: 5, lengthMs: 100 } })
  onTestFinished(() => simulator.stop())
  simulator.block('forbidden')
  const discord = openDiscord({ webhook: new Secret(simulator.webhookUrl), timeoutMs: 5_000 })
  onTestFinished(() => discord.close())
  const delivery = { accepted: () => undefined, refused: () => undefined }
  const rate = new MessageRate(1_000)
  const poster = new Poster({ discord, rate, delivery, log, health: new Health() })
  const memory = new AlertMemory({ quietMs: 60_000, digestMs: 60_000 })
  const desk = new AlertDesk({ memory, poster, digestMs: 60_000, log })

  const types = ['a', 'b', 'c', 'forbidden', 'd', 'e', 'forbidden too', 'f', 'g', 'h']
  const reports = types.map((type, offset) =>
    toEventReport(
      {
        ...{ type, subject: 'app', severity: 'warning', state: 'raised', message: '' },
        ...{ details: {}, service: 'test', at: Date.now() },
      },
      { topic: 'events', partition: 0, offset },
    ),
  )
  const announce = async (): Promise<void> => {
    try {
      await desk.announce(reports)
    } catch (error) {
      if (!(error instanceof RetriableError)) throw error
      // The rate limit's window; the partition waits as long before it hands over the same records again.
      await sleep(error.retryAfterMs ?? 0)
      return announce()
    }
  }
  await announce()

  const posted = simulator.messages.flatMap((m) => m.embeds.map((e) => e.title))
  expect(posted).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((type) => `${type}: app`))
})
