import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { SpotifyResponse, Topic } from '../../lib/topology.ts'
import type { EntityAnswer } from './lookup.ts'
import type { Source } from './route.ts'
import type { Wanted } from './wanted.ts'

/** One entity on its way into `spotify.metadata`. */
export interface PublishedEntity {
  wanted: Wanted
  answer: EntityAnswer
  source: Source
}

/** Header that names the source of an answer. */
export const providerHeader = 'provider'

/** Publishes answers as received. The topic is compacted, so publishing an answer twice changes nothing. */
export async function publishEntities(
  kafka: Kafka,
  topic: Topic<SpotifyResponse>,
  entities: readonly PublishedEntity[],
): Promise<void> {
  await kafka.publish(
    topic,
    entities.map(({ wanted, answer, source }) => ({
      key: wanted.key,
      value: {
        endpoint: wanted.kind,
        subject: wanted.id,
        source: 'enrich',
        fetchedAt: answer.fetchedAt,
        status: answer.status,
        body: answer.body,
      },
      headers: [{ name: providerHeader, value: Buffer.from(source) }],
    })),
  )
}
