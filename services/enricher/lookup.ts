import type { MetadataKind } from '../../lib/topology.ts'
import type { Capability } from './route.ts'

/** What a source said about one entity, as it is published. */
export interface EntityAnswer {
  /** HTTP status; 404 for an id that a batch answered with null or left out. */
  status: number
  /** The entity's own bytes of the body as received. */
  body: Buffer
  /** Unix time in milliseconds. */
  fetchedAt: number
}

/** What became of one request for one or several ids. */
export type Looked =
  /** Ids without an answer here have to be asked for again, in a smaller batch. */
  | { type: 'answers'; answers: ReadonlyMap<string, EntityAnswer> }
  /** This app may not use the endpoint. */
  | { type: 'gated'; capability: Capability }
  /** Not now: a pause, a spent budget, a refused login. Says nothing about the ids. */
  | { type: 'paused'; reason: string; forMs: number }
  /** An outage, or a fault that these very ids bring about. */
  | { type: 'failed'; reason: string }

/** A source of metadata: one call, one request (two when a token had expired). Throws for bugs and database outages only. */
export interface Lookup {
  look(kind: MetadataKind, ids: readonly string[], signal: AbortSignal): Promise<Looked>
}
