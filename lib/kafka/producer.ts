import kafkajs from 'kafkajs'
import { messageOf, RetriableError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Resource } from '../scope.ts'
import { late, within } from '../time-limit.ts'
import { isUnknownTopic } from './broker-error.ts'
import { toMessage } from './kafkajs-record.ts'
import type { OutRecord } from './record.ts'
import { Sender } from './sender.ts'
import { TopicPublisher } from './topic-publisher.ts'

export interface ProducerOptions {
  client: kafkajs.Kafka
  log: Logger
  /** How long a record is tried, from the call of `publish`, before that call fails; default: 30 seconds. */
  giveUpAfterMs?: number
}

const partitionsKnownForMs = 300_000
/** Time for an overdue batch to end with its own error; after it, `publish` reports only that there was no answer. */
const graceMs = 1_000

/**
 * Publishes records in the order of each partition. {@link TopicPublisher} groups them into requests; {@link Sender}
 * makes sure that nothing is lost or doubled.
 */
export class Producer implements Resource {
  readonly #sender: Sender
  readonly #log: Logger
  readonly #giveUpAfterMs: number
  readonly #admin: kafkajs.Admin
  readonly #partitioner = kafkajs.Partitioners.DefaultPartitioner()
  readonly #topics = new Map<string, TopicPublisher>()
  readonly #partitionCounts = new Map<string, { count: number; until: number }>()

  constructor({ client, log, giveUpAfterMs = 30_000 }: ProducerOptions) {
    this.#sender = new Sender({ client, log })
    this.#log = log
    this.#giveUpAfterMs = giveUpAfterMs
    this.#admin = client.admin()
  }

  /** Resolves when every in-sync replica has all records. @throws RetriableError when Kafka stayed away */
  async publish(topic: string, records: readonly OutRecord[]): Promise<void> {
    if (records.length === 0) return
    const limitMs = this.#giveUpAfterMs
    const publishing = this.#publishAll(topic, records, performance.now() + limitMs)
    if ((await within(limitMs + graceMs, publishing)) !== late) return
    this.#publisherOf(topic).withdrawLate()
    throw new RetriableError(`Kafka did not take records for ${topic} within ${limitMs / 1000} s`)
  }

  async close(): Promise<void> {
    for (const publisher of this.#topics.values()) publisher.close()
    await Promise.all([this.#sender.close(), this.#admin.disconnect()])
  }

  async #publishAll(topic: string, records: readonly OutRecord[], giveUpAt: number): Promise<void> {
    const count = await this.#partitionCount(topic)
    if (performance.now() >= giveUpAt) throw new RetriableError('Kafka answered too late')
    const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({ partitionId, leader: 0 }))
    const messages = records.map((record) => {
      const message = toMessage(record)
      const metadata = partitionMetadata as kafkajs.PartitionMetadata[]
      return { ...message, partition: this.#partitioner({ topic, partitionMetadata: metadata, message }) }
    })
    await this.#publisherOf(topic).publish(messages, giveUpAt)
  }

  #publisherOf(topic: string): TopicPublisher {
    const publisher =
      this.#topics.get(topic) ?? new TopicPublisher(topic, { sender: this.#sender, log: this.#log })
    this.#topics.set(topic, publisher)
    return publisher
  }

  async #partitionCount(topic: string): Promise<number> {
    const known = this.#partitionCounts.get(topic)
    if (known && known.until > performance.now()) return known.count
    try {
      await this.#admin.connect()
      const { topics } = await this.#admin.fetchTopicMetadata({ topics: [topic] })
      const count = topics[0]?.partitions.length ?? 0
      if (count === 0) throw new RetriableError(`Topic ${topic} has no partitions yet`)
      this.#partitionCounts.set(topic, { count, until: performance.now() + partitionsKnownForMs })
      return count
    } catch (error) {
      if (known) return known.count
      throw new RetriableError(
        isUnknownTopic(error)
          ? `Topic ${topic} does not exist; run: npm run migrate`
          : `Kafka does not answer: ${messageOf(error)}`,
        { cause: error },
      )
    }
  }
}
