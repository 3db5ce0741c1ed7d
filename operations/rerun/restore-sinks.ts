import { createClient } from '../../lib/kafka/client.ts'
import { Producer } from '../../lib/kafka/producer.ts'
import type { Broker, Operator } from '../operator.ts'
import type { Opening } from './conduct.ts'
import { deadLetterPublisher } from './dead-letter-publisher.ts'
import { loaderSinks, readSureTime } from './loader-sinks.ts'
import type { Sinks } from './run.ts'
import type { Tally } from './tally.ts'
import { topicSinks } from './topic-sinks.ts'

interface RestoreSinkOptions extends Opening {
  operator: Operator
  broker: Broker
  tally: Tally
  toTopic: boolean
  /** Whether dead letters are published. */
  deadLetters: boolean
}

/** By topic, the sinks of a restore: the loader's handlers, or the topic itself. */
export async function restoreSinks(options: RestoreSinkOptions): Promise<(topic: string) => Promise<Sinks>> {
  const { operator, broker, tally, scope, verdicts, deadLetters } = options
  const { log } = operator
  const { topology, client } = broker
  const sql = await operator.postgres()
  const rerun = { sureTime: await readSureTime(sql), verdicts }
  const toTopic = options.toTopic
    ? topicSinks(await scope.use(new Producer({ client: createClient(client), log }), 'producer'), tally)
    : null
  return async (topic) => {
    const { loaderHistory, loaderMetadata } = topology.groups
    const group = topic === topology.recentlyPlayed.name ? loaderHistory : loaderMetadata
    return {
      openSink: toTopic ?? loaderSinks({ group, topology, sql, log, tally, rerun }),
      onDeadLetters: deadLetterPublisher({ broker, scope, group, tally, publish: deadLetters }),
    }
  }
}
