import type { Sql } from '../../lib/postgres.ts'
import type { Scope } from '../../lib/scope.ts'
import { openBudget } from '../../lib/spotify/budget.ts'
import { openSpotifyClient } from '../../lib/spotify/client.ts'
import type { Incidents } from '../../lib/spotify/incidents.ts'
import { openAppToken } from '../../lib/spotify/tokens.ts'
import { readAnswered } from './answered.ts'
import { openAppSession } from './app-session.ts'
import { openCapabilityStore } from './capability-store.ts'
import { openCapabilityWatch } from './capability-watch.ts'
import type { EnricherConfig } from './config.ts'
import type { LaneOptions } from './lane.ts'
import { openLane } from './lane.ts'
import { openPauseStore } from './pause-store.ts'
import { openReccobeatsLookup } from './reccobeats-lookup.ts'
import { openSpotifyLookup } from './spotify-lookup.ts'

/** Starts a lane for each source of metadata; they end before what they use is closed. */
export async function openLanes(
  options: Pick<LaneOptions, 'pool' | 'publish' | 'health' | 'log' | 'fail'> & {
    config: EnricherConfig
    scope: Scope
    sql: Sql
    incidents: Incidents
  },
): Promise<void> {
  const { config, scope, sql, incidents, ...shared } = options
  const { clientId, dailyRequests, timeoutMs } = config.spotify
  const client = await scope.use(openSpotifyClient(config.spotify, { connections: 2 }), 'spotify')
  const budget = openBudget({ sql, clientId, dailyRequests })
  const session = openAppSession({ token: openAppToken(client), budget, incidents })
  const pauses = openPauseStore(sql, 'reccobeats')
  const reccobeats = openReccobeatsLookup({ url: config.reccobeatsUrl, timeoutMs, pauses })
  await scope.use(reccobeats, 'reccobeats')

  const lane = {
    ...shared,
    capabilities: openCapabilityWatch(openCapabilityStore({ sql, clientId, ...config }), incidents),
    provider: config.featuresProvider,
    lingerMs: config.lingerMs,
    readAnswered: readAnswered.bind(null, sql),
  }
  const spotify = openSpotifyLookup({ client, session, budget, incidents, log: shared.log })
  await scope.use(openLane({ ...lane, source: 'spotify', lookup: spotify }), 'lane spotify')
  await scope.use(openLane({ ...lane, source: 'reccobeats', lookup: reccobeats }), 'lane reccobeats')
}
