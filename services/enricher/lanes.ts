import type { Sql } from '../../lib/postgres.ts'
import type { Scope } from '../../lib/scope.ts'
import { openGateway } from '../../lib/spotify/gateway.ts'
import type { Incidents } from '../../lib/spotify/incidents.ts'
import { openAppToken } from '../../lib/spotify/tokens.ts'
import { readAnswered } from './answered.ts'
import { openAppSession } from './app-session.ts'
import { openCapabilityStore } from './capability-store.ts'
import { openCapabilityWatch } from './capability-watch.ts'
import type { EnricherConfig } from './config.ts'
import { openDeferredLookups } from './deferred.ts'
import type { LaneOptions } from './lane.ts'
import { openLane } from './lane.ts'
import { openPauseStore } from './pause-store.ts'
import { openReccobeatsLookup } from './reccobeats-lookup.ts'
import { openReload } from './reload.ts'
import { openSpotifyLookup } from './spotify-lookup.ts'

/** Starts a lane for each source of metadata; they end before what they use is closed. */
export async function openLanes(
  options: Pick<LaneOptions, 'pool' | 'publish' | 'outages' | 'health' | 'log' | 'fail'> & {
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
  const lane = {
    ...shared,
    deferred,
    capabilities: openCapabilityWatch(openCapabilityStore({ sql, clientId, ...config }), incidents),
    provider: config.featuresProvider,
    lingerMs: config.lingerMs,
    readAnswered: readAnswered.bind(null, sql),
  }
  const spotify = openSpotifyLookup({ gateway, session, incidents, log: shared.log })
  await scope.use(openLane({ ...lane, source: 'spotify', lookup: spotify }), 'lane spotify')
  await scope.use(openLane({ ...lane, source: 'reccobeats', lookup: reccobeats }), 'lane reccobeats')
  await scope.use(openReload({ pool: shared.pool, deferred, log: shared.log }), 'deferred lookups')
}
