import type { Sql } from '../../lib/postgres.ts'
import type { Topic } from '../../lib/topology.ts'
import { segmentDays } from '../account/topics.ts'
import { OperatorFault } from '../fault.ts'
import { resolveGroup } from '../groups.ts'
import type { Broker } from '../operator.ts'

/** The group whose handler runs again. */
export interface Replayed {
  group: string
  topics: readonly Topic[]
  /** The loader's handlers settle at once and may skip records; the archiver's sinks do neither. */
  kind: 'history' | 'metadata' | 'archive'
}

/** @throws OperatorFault for a group whose handler cannot run again */
export async function resolveReplayed(broker: Broker, name: string): Promise<Replayed> {
  const { groups, recentlyPlayed, metadata } = broker.topology
  const { group } = await resolveGroup(broker, name)
  if (group === groups.loaderHistory) return { group, topics: [recentlyPlayed], kind: 'history' }
  if (group === groups.loaderMetadata) return { group, topics: [metadata], kind: 'metadata' }
  if (group === groups.archiver) return { group, topics: [recentlyPlayed, metadata], kind: 'archive' }
  const why =
    {
      [groups.enricher]:
        'It would ask Spotify for the same things again. What is missing is asked for by the loader by itself.',
      [groups.alerter]: 'It would tell old alerts again. To read them: songswap events',
    }[group] ?? 'It is no group of the stream.'
  throw new OperatorFault(`${group} cannot be replayed`, why, { code: 'usage' })
}

/** Erased users whose pages the topics may still hold: new objects may contain them again. */
export async function readErasedOf(sql: Sql, { topics }: Replayed): Promise<number[]> {
  const keptDays = Math.max(...topics.map((t) => t.retentionDays ?? 0))
  const { rows } = await sql.query<{ user_id: number }>(
    `select user_id from erased_users where erased_at > now() - $1 * interval '1 day' order by 1`,
    [keptDays + segmentDays],
  )
  return rows.map(({ user_id }) => user_id)
}
