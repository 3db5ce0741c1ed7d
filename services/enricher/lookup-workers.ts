import type { Sql } from '../../lib/postgres.ts'
import type { Scope } from '../../lib/scope.ts'
import { openGateway } from '../../lib/spotify/gateway.ts'
import type { Incidents } from '../../lib/spotify/incidents.ts'
import { openAppToken } from '../../lib/spotify/tokens.ts'
import { openAppSession } from './app-session.ts'
import { openCapabilityStore } from './capability-store.ts'
import { openCapabilityWatch } from './capability-watch.ts'
import type { EnricherConfig } from './config.ts'
import { openDeferredLookups } from './deferred.ts'
import type { LookupWorkerOptions } from './lookup-worker.ts'
import { openLookupWorker } from './lookup-worker.ts'
import { openPauseStore } from './pause-store.ts'
import { openReccobeatsLookup } from './reccobeats-lookup.ts'
import { openReload } from './reload.ts'
import { openSpotifyLookup } from './spotify-lookup.ts'
import { readStoredAnswers } from './stored-answers.ts'

/** Starts a worker for each source of metadata; the workers close before what they use. */
export async function openLookupWorkers(
  options: Pick<LookupWorkerOptions, 'pool' | 'publish' | 'outages' | 'health' | 'log' | 'fail'> & {
    config: EnricherConfig
    scope: Scope
    sql: Sql
    incidents: Incidents
  },
): Promise<void> {
  const { config, scope, sql, incidents, ...shared } = options
  const { clientId, timeoutMs } = config.spotify
  const gateway = await scope.use(openGateway({ sql, config: config.spotify, connections: 2 }), 'spotify')
  const session = openAppSession({ token: openAppToken(gateway), incidents })
  const pauses = openPauseStore(sql, 'reccobeats')
  const reccobeats = openReccobeatsLookup({ url: config.reccobeatsUrl, timeoutMs, pauses })
  await scope.use(reccobeats, 'reccobeats')

  const deferred = openDeferredLookups(sql, config.deferMs)
  const worker = {
    ...shared,
    deferred,
    capabilities: openCapabilityWatch(openCapabilityStore({ sql, clientId, ...config }), incidents),
    provider: config.featuresProvider,
    lingerMs: config.lingerMs,
    readStoredAnswers: readStoredAnswers.bind(null, sql),
  }
  const spotify = openSpotifyLookup({ gateway, session, incidents, log: shared.log })
  await scope.use(openLookupWorker({ ...worker, source: 'spotify', lookup: spotify }), 'spotify lookups')
  await scope.use(
    openLookupWorker({ ...worker, source: 'reccobeats', lookup: reccobeats }),
    'reccobeats lookups',
  )
  await scope.use(openReload({ pool: shared.pool, deferred, log: shared.log }), 'deferred lookups')
}
