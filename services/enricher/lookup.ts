import type { MetadataKind } from '../../lib/topology.ts'
import type { Capability } from './route.ts'

/** A source's answer about one entity, as it is published. */
export interface EntityAnswer {
  /** HTTP status; 404 for an id that a batch answered with null or left out. */
  status: number
  /** The entity's part of the body, as received. */
  body: Buffer
  /** Unix time in milliseconds. */
  fetchedAt: number
}

/** The result of one request for one or several ids. */
export type Looked =
  /** Ids without an answer must be asked for again, in a smaller batch. */
  | { type: 'answers'; answers: ReadonlyMap<string, EntityAnswer> }
  /** This app may not use the endpoint. */
  | { type: 'gated'; capability: Capability }
  /** A pause, a spent budget or a refused login; it says nothing about the ids. */
  | { type: 'paused'; reason: string; forMs: number }
  /** An outage, or a failure that these ids cause. */
  | { type: 'failed'; reason: string }

/** A source of metadata. A call sends one request, rarely two; it throws only for bugs and outages of our servers. */
export interface Lookup {
  look(kind: MetadataKind, ids: readonly string[], signal: AbortSignal): Promise<Looked>
}
