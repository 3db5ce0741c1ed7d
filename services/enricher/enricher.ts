import { openCodec } from '../../lib/codec.ts'
import { readBurials } from '../../lib/kafka/burial.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import type { ServiceContext } from '../../lib/lifecycle.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { openIncidents } from '../../lib/spotify/incidents.ts'
import type { MetadataRequest } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import type { EnricherConfig } from './config.ts'
import { openLookupWorkers } from './lookup-workers.ts'
import { TicketPool } from './pool.ts'
import { publishEntities } from './publish.ts'
import { openWantedSink } from './sink.ts'

/** `metadata.wanted` → batches for Spotify and ReccoBeats → `spotify.metadata`, and only then the offsets. */
export async function startEnricher(service: ServiceContext<EnricherConfig>): Promise<void> {
  const { name, config, scope, log } = service
  const { metadataWanted, metadata, groups } = topology(config.kafka.prefix)
  const sql = await scope.use(
    openPostgres({ url: config.databaseUrl, connections: 3, name, log }),
    'postgres',
  )
  const codec = openCodec(config.kafka)
  const kafka = await scope.use(openKafka({ ...service, config: config.kafka, codec }), 'kafka')
  const incidents = openIncidents(sql, kafka.publishNotices)
  const pool = new TicketPool()
  const publish = publishEntities.bind(null, kafka, metadata)

  await openLookupWorkers({ ...service, sql, incidents, pool, publish, outages: kafka.outages })
  await kafka.consumeInto<MetadataRequest>({
    group: groups.enricher,
    topics: [metadataWanted],
    batchMaxRecords: 50,
    burials: readBurials(sql),
    open: (_topic, _partition, signal) => openWantedSink({ pool, group: groups.enricher, signal }),
  })
}
