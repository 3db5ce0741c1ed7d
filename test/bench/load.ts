import { openCodec } from '../../lib/codec.ts'
import { Health } from '../../lib/health.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import type { Expected, Pages } from './pages.ts'
import { toExpected } from './pages.ts'
import type { Stack } from './stack.ts'

/** The stack with its topic full of pages. */
export interface Load {
  stack: Stack
  pages: Pages
  expected: Expected
}

const publishedAtOnce = 100

/** Publishes all pages to `spotify.recently-played`, as the poller does. */
export async function publishPages(stack: Stack, pages: Pages): Promise<Load> {
  const { kafka: config, log, topics } = stack
  const codec = openCodec(config.registryUrl)
  const fail = (error: unknown) => log.error({ err: error }, 'failed')
  const kafka = await openKafka({ config, codec, log, health: new Health(), name: 'bench', fail })
  for (let index = 0; index < pages.count; index += publishedAtOnce) {
    const records = Array.from({ length: Math.min(publishedAtOnce, pages.count - index) }, (_, i) => {
      const { userId, fetchedAt, body } = pages.page(index + i)
      const subject = String(userId)
      const value = { endpoint: 'recently-played', subject, source: 'poll', fetchedAt, status: 200, body }
      return { key: subject, value }
    })
    await kafka.publish(topics.recentlyPlayed, records)
  }
  await kafka.close()
  return { stack, pages, expected: toExpected(pages) }
}
