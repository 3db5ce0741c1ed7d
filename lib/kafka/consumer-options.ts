import type { Codec } from '../codec.ts'
import type { Server } from '../errors.ts'
import type { Health } from '../health.ts'
import type { Logger } from '../log.ts'
import type { Outages } from '../outages.ts'
import type { Topic } from '../topology.ts'
import type { Burials } from './burial.ts'
import type { ClientOptions } from './client.ts'
import type { LogChange } from './log-guard.ts'
import type { InTurn, SettledBatch, WorkerOptions } from './partition-worker.ts'
import type { OpenSink } from './sink.ts'

export interface ConsumerOptions<V> {
  client: ClientOptions
  codec: Codec
  group: string
  topics: Topic<V>[]
  open: OpenSink<V>
  /** Called when a log is not the one that the group had read: it is now read from its earliest record. */
  onLogChange: (change: LogChange) => void
  /** @param place `topic/partition` */
  publishDeadLetters: (place: string, batch: SettledBatch) => Promise<void>
  /** Called at each assignment with the places that this member has. */
  onAssigned: (places: string[]) => void
  onHeldUp: WorkerOptions<V>['onHeldUp']
  outages: Outages
  /** Kafka itself. */
  server: Server
  heldUpAfterMs: number
  burials?: Burials
  batchMaxRecords: number
  batchMaxBytes: number
  stuckAfterMs: number
  inTurn: InTurn
  freesRecords: boolean
  health: Health
  fail: (error: unknown) => void
  log: Logger
}
