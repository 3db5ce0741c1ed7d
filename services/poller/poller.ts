import { openCodec } from '../../lib/codec.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { openLogReader } from '../../lib/kafka/log-reader.ts'
import type { ServiceContext } from '../../lib/lifecycle.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { openGateway } from '../../lib/spotify/gateway.ts'
import { openIncidents } from '../../lib/spotify/incidents.ts'
import { createRefresher } from '../../lib/spotify/refresh.ts'
import { createTokenCrypto } from '../../lib/spotify/token-crypto.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import { topology } from '../../lib/topology.ts'
import { createAppState } from './app-state.ts'
import { createClockWatch } from './clock-watch.ts'
import type { PollerConfig } from './config.ts'
import { watchConsents } from './consents.ts'
import { PollLoop } from './loop.ts'
import { createPageRecorder } from './page-recorder.ts'
import { watchTopic } from './topic-watch.ts'

/** Due users from Postgres → pages from Spotify → `spotify.recently-played`, and only then the users' state. */
export async function startPoller(service: ServiceContext<PollerConfig>): Promise<void> {
  const { name, config, scope, log, health, fail } = service
  const { poll: settings, spotify } = config
  const { recentlyPlayed } = topology(config.kafka.prefix)
  const connections = Math.min(settings.concurrency + 2, 20)
  const postgres = await scope.use(
    openPostgres({ url: config.databaseUrl, connections, name, log }),
    'postgres',
  )
  const codec = openCodec(config.kafka)
  const kafka = await scope.use(openKafka({ ...service, config: config.kafka, codec }), 'kafka')
  const gateway = await scope.use(
    openGateway({ sql: postgres, config: spotify, connections: settings.concurrency }),
    'spotify',
  )
  const crypto = createTokenCrypto(config.tokenKeys)
  const refresher = createRefresher({ gateway, clientId: spotify.clientId, sql: postgres, crypto, log })
  const incidents = openIncidents(postgres, kafka.publishNotices)
  const appState = createAppState({
    ...{ sql: postgres, gateway, incidents, bounds: settings },
    upkeepMs: settings.idleMs * 3,
  })

  const context = {
    ...{ gateway, clientId: spotify.clientId, refresher, crypto, postgres, settings, incidents, log },
    publishNotice: kafka.publishNotices,
    outages: kafka.outages,
    recordPage: createPageRecorder(postgres),
    noteClock: createClockWatch(incidents),
    publishPage: (userId: number, value: SpotifyResponse) =>
      kafka.publish(recentlyPlayed, [{ key: String(userId), value }]),
  }
  const reader = await scope.use(openLogReader({ config: config.kafka, log, name }), 'log reader')
  await scope.use(watchTopic({ postgres, topic: recentlyPlayed.name, reader, log }), 'topic')
  await scope.use(watchConsents({ postgres, publish: kafka.publishNotices, log }), 'consents')
  // Opened last, so closed first: after the stop signal no user is claimed.
  const loop = await scope.use(new PollLoop({ context, appState, fail }), 'polls')
  health.register(name, () => loop.report())
}
