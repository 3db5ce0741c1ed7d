import { openCodec } from '../../lib/codec.ts'
import type { Notice } from '../../lib/events.ts'
import { toEvent } from '../../lib/events.ts'
import { openKafka } from '../../lib/kafka/kafka.ts'
import { runService } from '../../lib/lifecycle.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { openBudget } from '../../lib/spotify/budget.ts'
import { openSpotifyClient } from '../../lib/spotify/client.ts'
import { openIncidents } from '../../lib/spotify/incidents.ts'
import { createRefresher } from '../../lib/spotify/refresh.ts'
import { createTokenCrypto } from '../../lib/spotify/token-crypto.ts'
import { topology } from '../../lib/topology.ts'
import { createAppState } from './app-state.ts'
import { readConfig } from './config.ts'
import { startPollLoop } from './loop.ts'

const name = 'poller'

await runService(name, readConfig, async ({ config, scope, log, health, fail }) => {
  const { poll: settings } = config
  const { recentlyPlayed, events } = topology(config.kafka.prefix)
  const postgres = await scope.use(
    openPostgres({ url: config.databaseUrl, connections: Math.min(settings.concurrency + 2, 20), name, log }),
    'postgres',
  )
  const codec = openCodec(config.kafka.registryUrl)
  const kafka = await scope.use(openKafka({ config: config.kafka, codec, log, health, name, fail }), 'kafka')
  const client = await scope.use(
    openSpotifyClient(config.spotify, { connections: settings.concurrency }),
    'spotify',
  )
  const budget = openBudget({
    sql: postgres,
    clientId: config.spotify.clientId,
    dailyRequests: config.spotify.dailyRequests,
  })
  const crypto = createTokenCrypto(config.tokenKeys)
  const refresher = createRefresher({ client, sql: postgres, crypto, log })
  const publishNotice = (notice: Notice) =>
    kafka.publish(events, [{ key: notice.subject, value: toEvent(notice, name, Date.now()) }])
  const incidents = openIncidents(postgres, publishNotice)
  const appState = createAppState({ sql: postgres, budget, incidents, bounds: settings })
  const loop = await scope.use(
    startPollLoop(
      {
        ...{ client, budget, refresher, crypto, postgres, settings, incidents, publishNotice, log },
        publishPage: (userId, value) => kafka.publish(recentlyPlayed, [{ key: String(userId), value }]),
      },
      { appState, fail },
    ),
    'polls',
  )
  health.register(name, loop.report)
})
