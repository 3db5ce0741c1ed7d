import pLimit from 'p-limit'
import { openCodec } from '../../lib/codec.ts'
import { readBurials } from '../../lib/kafka/burial.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import type { ServiceContext } from '../../lib/lifecycle.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { findInServers } from '../../lib/server-settings/read.ts'
import { watchSettings } from '../../lib/server-settings/watch.ts'
import { openIncidents } from '../../lib/spotify/incidents.ts'
import { topology } from '../../lib/topology.ts'
import type { LoaderConfig } from './config.ts'
import { historyHandler } from './history.ts'
import { Memory } from './memory.ts'
import { metadataHandler } from './metadata.ts'
import { Outbox } from './outbox.ts'
import { toOutboxTasks } from './outbox-tasks.ts'

/** Concurrent batches of all partitions: while one waits for Postgres, another is parsed. */
const batchesInWork = 3
const connections = batchesInWork + 1

/** Pages and metadata from Kafka → plays and the catalogue in Postgres → requests for what the catalogue lacks. */
export async function startLoader(service: ServiceContext<LoaderConfig>): Promise<void> {
  const { name, config, scope, log } = service
  const topics = topology(config.kafka.prefix)
  const memory = await scope.use(new Memory())
  const onLost = () => memory.drop()
  const postgres = await scope.use(openPostgres({ url: config.databaseUrl, connections, name, log, onLost }))
  const codec = openCodec(config.kafka)
  const kafka = await scope.use(openKafka({ ...service, config: config.kafka, codec }), 'kafka')
  const tasks = toOutboxTasks({ ...config, kafka, topology: topics })
  const outbox = await scope.use(new Outbox({ ...config, postgres, tasks, outages: kafka.outages, log }))

  const { raise, resolve } = openIncidents(postgres, kafka.publishNotices)
  const find = () => findInServers({ kafka: config.kafka, sql: postgres, name, log })
  await scope.use(watchSettings({ subject: 'servers', find, raise, resolve, log }), 'settings')

  const parts = { postgres, memory, onCommitted: () => outbox.wake(), log }
  const turns = pLimit(batchesInWork)
  const { batchPages: batchMaxRecords, batchMaxBytes } = config
  const burials = readBurials(postgres)
  const limits = {
    batchMaxRecords,
    batchMaxBytes,
    burials,
    inTurn: <T>(work: () => Promise<T>) => turns(work),
  }
  await kafka.consume({
    ...limits,
    group: topics.groups.loaderHistory,
    topic: topics.recentlyPlayed,
    freesRecords: true,
    handler: historyHandler(parts),
  })
  await kafka.consume({
    ...limits,
    group: topics.groups.loaderMetadata,
    topic: topics.metadata,
    handler: metadataHandler(parts),
  })
}
