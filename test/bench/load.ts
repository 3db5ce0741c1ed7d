import { createHash } from 'node:crypto'
import { openCodec } from '../../lib/codec.ts'
import { Health } from '../../lib/health.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import type { Topology } from '../../lib/topology.ts'
import type { BenchPage, Expected, Pages } from './pages.ts'
import { toExpected } from './pages.ts'
import type { Stack } from './stack.ts'

/** The stack with its topic full of pages. */
export interface Load {
  stack: Stack
  pages: Pages
  expected: Expected
  /** {@link pageDigest} of every page. */
  digests: ReadonlySet<string>
}

const publishedAtOnce = 100

/** Publishes all pages to `spotify.recently-played`, as the poller does. */
export async function publishPages(stack: Stack, pages: Pages): Promise<Load> {
  const bodies = { count: pages.count, page: (index: number) => pages.page(index) }
  const digests = await publishBodies(stack, stack.topics, bodies)
  return { stack, pages, expected: toExpected(pages), digests }
}

/** @returns {@link pageDigest} of every page */
export async function publishBodies(
  stack: Stack,
  topics: Topology,
  pages: { count: number; page(index: number): BenchPage },
): Promise<ReadonlySet<string>> {
  const { kafka: config, log } = stack
  const codec = openCodec(config)
  const fail = (error: unknown) => log.error({ err: error }, 'failed')
  const kafka = await openKafka({ config, codec, log, health: new Health(), name: 'bench', fail })
  const digests = new Set<string>()
  for (let index = 0; index < pages.count; index += publishedAtOnce) {
    const records = Array.from({ length: Math.min(publishedAtOnce, pages.count - index) }, (_, i) => {
      const { userId, fetchedAt, body } = pages.page(index + i)
      const subject = String(userId)
      digests.add(pageDigest(subject, body))
      const value = { endpoint: 'recently-played', subject, source: 'poll', fetchedAt, status: 200, body }
      return { key: subject, value }
    })
    await kafka.publish(topics.recentlyPlayed, records)
  }
  await kafka.close()
  return digests
}

/** Identifies a published page. */
export function pageDigest(user: string, body: Buffer): string {
  return `${user} ${createHash('sha1').update(body).digest('base64')}`
}
