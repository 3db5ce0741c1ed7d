import { readFileSync } from 'node:fs'

/** How a topic drops records: by age, by key, or both. */
export type Cleanup = 'delete' | 'compact' | 'compact,delete'

/**
 * One topic of the stream. `V` is the type of its decoded value. `schema` is null if values are raw bytes, as in dead
 * letters.
 */
export interface Topic<V = unknown> {
  readonly name: string
  readonly key: string
  readonly schema: AvroSchema | null
  readonly cleanup: Cleanup
  readonly retentionDays: number | null
  readonly partitions: number
  /** Largest compressed batch of records. A page of 2 MB fits several times. */
  readonly maxMessageBytes: number
  /**
   * For how long compaction keeps a record: the archiver or its object store may be away for that long, and the
   * archiver still finds every answer. Seven days are enough for a long weekend and for a move to another store. They
   * cost disk for the answers of seven days, about 3 kB each before compression: 300 MB if 100,000 entities are
   * looked up in that time. `songswap doctor` warns when half of the time has passed. 0 where it does not matter.
   */
  readonly minCompactionLagDays: number
  /** Never set; carries `V` to `publish` and `consume`. */
  readonly valueType?: V
}

/** An Avro record schema as JSON. */
export interface AvroSchema {
  readonly type: 'record'
  readonly name: string
  readonly fields: readonly { readonly name: string; readonly type: unknown }[]
}

/** Kinds of entities that the enricher can look up. */
export type MetadataKind = 'track' | 'artist' | 'audio-features'

/** Value of `spotify.recently-played` and `spotify.metadata`: one HTTP answer with its unchanged body. */
export interface SpotifyResponse {
  endpoint: string
  subject: string
  source: string
  /** Unix time in milliseconds. */
  fetchedAt: number
  /** HTTP status. */
  status: number
  body: Buffer
}

/** Value of `metadata.wanted`. */
export interface MetadataRequest {
  kind: string
  id: string
  /** Unix time in milliseconds. */
  requestedAt: number
}

/** Value of `ops.events`; the types are listed in `lib/events.ts`. */
export interface OperationalEvent {
  type: string
  subject: string
  severity: string
  state: string
  message: string
  details: Record<string, string>
  service: string
  /** Unix time in milliseconds. */
  at: number
}

/** Every topic and consumer group by its role. Names include the prefix. */
export interface Topology {
  readonly recentlyPlayed: Topic<SpotifyResponse>
  readonly metadataWanted: Topic<MetadataRequest>
  readonly metadata: Topic<SpotifyResponse>
  readonly events: Topic<OperationalEvent>
  readonly deadLetters: Topic<Buffer>
  readonly groups: {
    readonly archiver: string
    readonly loaderHistory: string
    readonly loaderMetadata: string
    readonly enricher: string
    readonly alerter: string
  }
}

const mebibyte = 1 << 20
const limits = { maxMessageBytes: 7 * mebibyte, minCompactionLagDays: 0 }

/**
 * The topology as data: topics are created, documented and tested from it.
 *
 * @param prefix put before every topic and group name (`KAFKA_PREFIX`), so that several installations can
 *   share a cluster; empty in production
 */
export function topology(prefix = ''): Topology {
  return {
    recentlyPlayed: {
      name: `${prefix}spotify.recently-played`,
      key: 'user id (decimal text)',
      schema: schemas.spotifyResponse,
      cleanup: 'delete',
      retentionDays: 30,
      partitions: 12,
      ...limits,
    },
    metadataWanted: {
      name: `${prefix}metadata.wanted`,
      key: 'track:ID, artist:ID or audio-features:ID',
      schema: schemas.metadataRequest,
      cleanup: 'compact,delete',
      retentionDays: 7,
      partitions: 6,
      ...limits,
    },
    metadata: {
      name: `${prefix}spotify.metadata`,
      key: 'track:ID, artist:ID or audio-features:ID',
      schema: schemas.spotifyResponse,
      cleanup: 'compact',
      retentionDays: null,
      partitions: 6,
      ...limits,
      minCompactionLagDays: 7,
    },
    events: {
      name: `${prefix}ops.events`,
      key: 'subject: user:7, app, group:loader.history',
      schema: schemas.operationalEvent,
      cleanup: 'delete',
      retentionDays: 30,
      partitions: 1,
      ...limits,
    },
    deadLetters: {
      name: `${prefix}dead-letters`,
      key: 'original key, bytes',
      schema: null,
      cleanup: 'delete',
      retentionDays: 90,
      partitions: 3,
      ...limits,
      // A dead letter is its record with more headers: every record of the other topics must fit here.
      maxMessageBytes: 8 * mebibyte,
    },
    groups: {
      archiver: `${prefix}archiver`,
      loaderHistory: `${prefix}loader.history`,
      loaderMetadata: `${prefix}loader.metadata`,
      enricher: `${prefix}enricher`,
      alerter: `${prefix}alerter`,
    },
  }
}

/** All topics of a topology, in the order of the flow. */
export function allTopics(t: Topology): Topic[] {
  return [t.recentlyPlayed, t.metadataWanted, t.metadata, t.events, t.deadLetters]
}

/** Which topics each consumer group reads. */
export function groupTopics(t: Topology): Map<string, Topic[]> {
  return new Map([
    [t.groups.archiver, [t.recentlyPlayed, t.metadata]],
    [t.groups.loaderHistory, [t.recentlyPlayed]],
    [t.groups.loaderMetadata, [t.metadata]],
    [t.groups.enricher, [t.metadataWanted]],
    [t.groups.alerter, [t.deadLetters, t.events]],
  ])
}

/** The registry's subject of a topic's values. */
export function subjectOf(topic: Topic): string {
  return `${topic.name}-value`
}

/** The registry's compatibility rule for every subject: a new schema must be able to read all older values. */
export const schemaCompatibility = 'BACKWARD_TRANSITIVE'

/** Key of a metadata request or answer. */
export function metadataKey(kind: string, id: string): string {
  return `${kind}:${id}`
}

function readSchema(file: string): AvroSchema {
  return JSON.parse(readFileSync(new URL(`../schemas/${file}`, import.meta.url), 'utf8'))
}

const schemas = {
  spotifyResponse: readSchema('spotify-response.avsc'),
  metadataRequest: readSchema('metadata-request.avsc'),
  operationalEvent: readSchema('operational-event.avsc'),
}
