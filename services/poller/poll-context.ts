import type { Notice } from '../../lib/events.ts'
import type { Logger } from '../../lib/log.ts'
import type { Outages } from '../../lib/outages.ts'
import type { Postgres } from '../../lib/postgres.ts'
import type { Incidents } from '../../lib/spotify/incidents.ts'
import type { SpotifyResponse } from '../../lib/topology.ts'
import type { PageTime } from './clock.ts'
import type { PollSettings } from './config.ts'
import type { FetchContext } from './fetch.ts'
import type { RecordPage } from './page-recorder.ts'

/** What a poll of any user needs. */
export interface PollContext extends FetchContext {
  postgres: Postgres
  settings: PollSettings
  incidents: Incidents
  recordPage: RecordPage
  /** Raises or ends the event about this machine's clock. */
  noteClock: (skew: PageTime | null) => Promise<void>
  publishPage: (userId: number, response: SpotifyResponse) => Promise<void>
  publishNotice: (notice: Notice) => Promise<void>
  /** Counts what fails and what works. */
  outages: Pick<Outages, 'failed' | 'worked'>
  log: Logger
}

/** Label of the metric `songswap_polls_total`. */
export type PollOutcome = 'published' | 'unchanged' | 'deferred' | 'parked' | 'failed' | 'lease_lost'
