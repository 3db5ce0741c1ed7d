import { LRUCache } from 'lru-cache'
import type { Report } from './report.ts'
import type { Announcement, Known, Memory } from './triage.ts'

const kindsMax = 10_000

/**
 * Remembers what this process has posted, within bounds: a kind that was silent for `quietMs` is forgotten, and
 * posted at once when it comes back. In memory only: a restart may repeat an alert but never loses one.
 */
export class AlertMemory implements Memory {
  readonly #kinds: LRUCache<string, Known>
  /** Times of the alerts posted at once, by family. */
  readonly #announced: LRUCache<string, number[]>
  readonly #digestMs: number

  constructor(options: { quietMs: number; digestMs: number }) {
    this.#kinds = new LRUCache({ max: kindsMax, ttl: options.quietMs })
    this.#announced = new LRUCache({ max: kindsMax, ttl: options.digestMs })
    this.#digestMs = options.digestMs
  }

  known(kind: string): Known | undefined {
    return this.#kinds.get(kind)
  }

  announced(family: string): number {
    const since = performance.now() - this.#digestMs
    return this.#announced.get(family)?.filter((at) => at > since).length ?? 0
  }

  /** Call it after the alert was posted. */
  tell({ first: { kind, family, state }, last }: Announcement): void {
    const told = new Map(this.#kinds.get(kind)?.told).set(last.partition, last.offset)
    this.#kinds.set(kind, { state, told })
    const since = performance.now() - this.#digestMs
    const times = this.#announced.get(family)?.filter((at) => at > since) ?? []
    this.#announced.set(family, [...times, performance.now()])
  }

  /** Call it when the report waits in a digest. */
  fold({ kind, state }: Report): void {
    this.#kinds.set(kind, { state, told: this.#kinds.get(kind)?.told ?? new Map() })
  }
}
