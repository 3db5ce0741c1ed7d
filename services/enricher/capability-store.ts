import type { Sql } from '../../lib/postgres.ts'
import type { Capability, Refused } from './route.ts'
import { capabilities } from './route.ts'

/** The endpoints that Spotify refuses to this app: shared by all processes, and tried again after a time. */
export interface CapabilityStore {
  /** What is refused now; may be half a minute old. */
  refused(): Promise<Refused>
  /** Stores what an answer has shown. */
  remember(capability: Capability, allowed: boolean): Promise<void>
}

const knownForMs = 30_000

/** @param options.probeAgainMs a refusal older than this does not count */
export function openCapabilityStore(options: {
  sql: Sql
  clientId: string
  probeAgainMs: number
}): CapabilityStore {
  const { sql, clientId, probeAgainMs } = options
  let known: { refused: Set<Capability>; until: number } | null = null

  async function read(): Promise<Set<Capability>> {
    const { rows } = await sql.query<{ capability: string }>(
      `select capability from api_capabilities
       where client_id = $1 and not allowed and observed_at > now() - make_interval(secs => $2::float8 / 1000)`,
      [clientId, probeAgainMs],
    )
    return new Set(rows.map((row) => row.capability).filter(isCapability))
  }

  return {
    async refused() {
      if (!known || known.until < performance.now())
        known = { refused: await read(), until: performance.now() + knownForMs }
      return known.refused
    },
    async remember(capability, allowed) {
      await sql.query(
        `insert into api_capabilities (client_id, capability, allowed) values ($1, $2, $3)
         on conflict (client_id, capability) do update set allowed = excluded.allowed, observed_at = now()`,
        [clientId, capability, allowed],
      )
      known = null
    },
  }
}

function isCapability(name: string): name is Capability {
  return Object.hasOwn(capabilities, name)
}
