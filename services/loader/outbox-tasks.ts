import { toEvent } from '../../lib/events.ts'
import type { Kafka } from '../../lib/kafka/kafka.ts'
import type { MetadataKind, Topology } from '../../lib/topology.ts'
import { metadataKey } from '../../lib/topology.ts'
import type { GapNews } from './gap-notice.ts'
import { toGapNotice } from './gap-notice.ts'
import { markGapNews, readGapNews } from './gap-store.ts'
import type { OutboxTask } from './outbox.ts'
import { toOutboxTask } from './outbox.ts'

interface WantedKind {
  kind: MetadataKind
  table: 'artists' | 'tracks'
  status: 'metadata_status' | 'features_status'
  requestedAt: 'metadata_requested_at' | 'features_requested_at'
  /** Condition of the partial index of entities that were never requested. */
  unrequested: string
  /** Which entities that were not found are requested again, because the catalogue of a source grows. */
  again?: { condition: string; count: string }
}

const idPattern = "id ~ '^[0-9A-Za-z]{22}$'"

const artists: WantedKind = {
  kind: 'artist',
  table: 'artists',
  status: 'metadata_status',
  requestedAt: 'metadata_requested_at',
  unrequested: `metadata_status is null and ${idPattern}`,
}
/** A page shows all that is stored of a track, so only tracks without a name, withdrawn by Spotify, are requested. */
const tracks: WantedKind = {
  kind: 'track',
  table: 'tracks',
  status: 'metadata_status',
  requestedAt: 'metadata_requested_at',
  unrequested: `metadata_status is null and name = '' and ${idPattern}`,
}
/** Days after which features that were not found are requested again, by the number of requests so far. */
const askedAgainAfterDays = [7, 30, 91]
const features: WantedKind = {
  kind: 'audio-features',
  table: 'tracks',
  status: 'features_status',
  requestedAt: 'features_requested_at',
  unrequested: `features_status is null and ${idPattern}`,
  again: {
    condition: `features_status = 'not_found' and features_requests <= ${askedAgainAfterDays.length}
      and features_requested_at < now() - interval '1 day' * (
        case ${askedAgainAfterDays.map((days, i) => `when features_requests <= ${i + 1} then ${days}`).join(' ')} end)`,
    count: 'features_requests',
  },
}

export interface TaskOptions {
  kafka: Pick<Kafka, 'publish'>
  topology: Topology
  /** Whether any source answers requests for audio features. */
  wantsFeatures: boolean
  /** A request without an answer for this long is repeated, because `metadata.wanted` deletes old records. */
  requestAgainMs: number
}

/** Everything that this service publishes: requests for metadata, and events of gaps. */
export function toOutboxTasks(options: TaskOptions): OutboxTask[] {
  const kinds = options.wantsFeatures ? [artists, tracks, features] : [artists, tracks]
  return [...kinds.map((kind) => wantedTask(kind, options)), gapTask(options)]
}

function wantedTask(wanted: WantedKind, { kafka, topology, requestAgainMs }: TaskOptions): OutboxTask {
  const { kind, table, status, requestedAt, unrequested, again } = wanted
  return toOutboxTask<string>({
    name: `wanted_${kind}`,
    async read(sql, limit) {
      const { rows } = await sql.query<{ id: string }>({
        name: `loader_wanted_${kind}`,
        text: `
          (select id from ${table} where ${unrequested} limit $1)
          union all
          (select id from ${table}
            where ${status} = 'requested' and ${requestedAt} < now() - $2::float8 * interval '1 millisecond'
            limit $1)
          ${again ? `union all (select id from ${table} where ${again.condition} limit $1)` : ''}
          limit $1`,
        values: [limit, requestAgainMs],
      })
      return rows.map((row) => row.id)
    },
    async publish(ids) {
      const at = Date.now()
      const records = ids.map((id) => ({ key: metadataKey(kind, id), value: { kind, id, requestedAt: at } }))
      await kafka.publish(topology.metadataWanted, records)
    },
    // An answer that has come already stays.
    async mark(sql, ids) {
      await sql.query({
        name: `loader_requested_${kind}`,
        text: `
          with locked as (
            select id from ${table}
            where id = any ($1::text[]) and (${[`${status} is null or ${status} = 'requested'`, again?.condition].filter(Boolean).join(' or ')})
            order by id for update
          )
          update ${table} t set ${status} = 'requested', ${requestedAt} = now()
            ${again ? `, ${again.count} = greatest(t.${again.count}, 1) + (t.${status} is not distinct from 'not_found')::int` : ''}
          from locked where t.id = locked.id`,
        values: [ids],
      })
    },
  })
}

function gapTask({ kafka, topology }: TaskOptions): OutboxTask {
  return toOutboxTask<GapNews>({
    name: 'gaps',
    read: readGapNews,
    async publish(news) {
      const records = news.map((item) => {
        const event = toEvent(toGapNotice(item), 'loader', Date.now())
        return { key: event.subject, value: event }
      })
      await kafka.publish(topology.events, records)
    },
    mark: markGapNews,
  })
}
