import { openCodec } from '../../lib/codec.ts'
import { toEvent } from '../../lib/events.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { runService } from '../../lib/lifecycle.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { openBudget } from '../../lib/spotify/budget.ts'
import { openSpotifyClient } from '../../lib/spotify/client.ts'
import { openIncidents } from '../../lib/spotify/incidents.ts'
import { openAppToken } from '../../lib/spotify/tokens.ts'
import type { MetadataRequest } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import { readAnswered } from './answered.ts'
import { openAppSession } from './app-session.ts'
import { openCapabilityStore } from './capability-store.ts'
import { openCapabilityWatch } from './capability-watch.ts'
import { readConfig } from './config.ts'
import { openLane } from './lane.ts'
import { openPauseStore } from './pause-store.ts'
import { TicketPool } from './pool.ts'
import { publishEntities } from './publish.ts'
import { openReccobeatsLookup } from './reccobeats-lookup.ts'
import { openWantedSink } from './sink.ts'
import { openSpotifyLookup } from './spotify-lookup.ts'

const name = 'enricher'

await runService(name, readConfig, async ({ config, scope, log, health, fail }) => {
  const { metadataWanted, metadata, events, groups } = topology(config.kafka.prefix)
  const { clientId, dailyRequests, timeoutMs } = config.spotify
  const sql = await scope.use(
    openPostgres({ url: config.databaseUrl, connections: 3, name, log }),
    'postgres',
  )
  const codec = openCodec(config.kafka.registryUrl)
  const kafka = await scope.use(openKafka({ config: config.kafka, codec, log, health, name, fail }), 'kafka')
  const client = await scope.use(openSpotifyClient(config.spotify, { connections: 2 }), 'spotify')
  const incidents = openIncidents(sql, (notice) =>
    kafka.publish(events, [{ key: notice.subject, value: toEvent(notice, name, Date.now()) }]),
  )
  const budget = openBudget({ sql, clientId, dailyRequests })
  const session = openAppSession({ token: openAppToken(client), budget, incidents })
  const spotify = openSpotifyLookup({ client, session, budget, incidents, log })
  const pauses = openPauseStore(sql, 'reccobeats')
  const reccobeats = await scope.use(
    openReccobeatsLookup({ url: config.reccobeatsUrl, timeoutMs, pauses }),
    'reccobeats',
  )

  const pool = new TicketPool()
  const lane = {
    pool,
    capabilities: openCapabilityWatch(openCapabilityStore({ sql, clientId, ...config }), incidents),
    provider: config.featuresProvider,
    lingerMs: config.lingerMs,
    readAnswered: readAnswered.bind(null, sql),
    publish: publishEntities.bind(null, kafka, metadata),
    health,
    log,
    fail,
  }
  await scope.use(openLane({ ...lane, source: 'spotify', lookup: spotify }), 'lane spotify')
  await scope.use(openLane({ ...lane, source: 'reccobeats', lookup: reccobeats }), 'lane reccobeats')

  await kafka.consumeInto<MetadataRequest>({
    group: groups.enricher,
    topics: [metadataWanted],
    batchMaxRecords: 50,
    open: (_topic, _partition, signal) => openWantedSink({ pool, group: groups.enricher, signal }),
  })
})
