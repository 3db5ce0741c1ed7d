import { openCodec } from '../../lib/codec.ts'
import { toEvent } from '../../lib/events.ts'
import { readBurials } from '../../lib/kafka/burial.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { runService } from '../../lib/lifecycle.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { openIncidents } from '../../lib/spotify/incidents.ts'
import type { MetadataRequest } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import { readConfig } from './config.ts'
import { openLanes } from './lanes.ts'
import { TicketPool } from './pool.ts'
import { publishEntities } from './publish.ts'
import { openWantedSink } from './sink.ts'

const name = 'enricher'

await runService(name, readConfig, async ({ config, scope, log, health, fail }) => {
  const { metadataWanted, metadata, events, groups } = topology(config.kafka.prefix)
  const sql = await scope.use(
    openPostgres({ url: config.databaseUrl, connections: 3, name, log }),
    'postgres',
  )
  const codec = openCodec(config.kafka)
  const kafka = await scope.use(openKafka({ config: config.kafka, codec, log, health, name, fail }), 'kafka')
  const incidents = openIncidents(sql, (notice) =>
    kafka.publish(events, [{ key: notice.subject, value: toEvent(notice, name, Date.now()) }]),
  )
  const pool = new TicketPool()
  const publish = publishEntities.bind(null, kafka, metadata)

  await openLanes({ config, scope, sql, incidents, pool, publish, outages: kafka.outages, health, log, fail })
  await kafka.consumeInto<MetadataRequest>({
    group: groups.enricher,
    topics: [metadataWanted],
    batchMaxRecords: 50,
    burials: readBurials(sql),
    open: (_topic, _partition, signal) => openWantedSink({ pool, group: groups.enricher, signal }),
  })
})
