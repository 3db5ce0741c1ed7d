import type { Logger } from './log.ts'

/** What must be released: closed, stopped, disconnected. */
export interface Resource {
  close(): Promise<void> | void
}

/**
 * Holds what a process opened and releases it in reverse order. Acquire and register on the same line:
 * `const store = await scope.use(openStore(…))`.
 */
export class Scope {
  readonly #releases: { name: string; release: () => Promise<void> | void }[] = []
  readonly #log: Logger
  #closing: Promise<void> | null = null

  constructor(log: Logger) {
    this.#log = log
  }

  /** Registers the release of a resource and returns it. */
  async use<R extends Resource>(resource: R | Promise<R>, name?: string): Promise<R> {
    const opened = await resource
    this.defer(name ?? opened.constructor.name, () => opened.close())
    return opened
  }

  /** Registers a release of its own. */
  defer(name: string, release: () => Promise<void> | void): void {
    this.#releases.push({ name, release })
  }

  /** Releases everything, last first; a release that fails is logged and does not keep the others back. */
  close(): Promise<void> {
    this.#closing ??= this.#releaseAll()
    return this.#closing
  }

  async #releaseAll(): Promise<void> {
    for (let entry = this.#releases.pop(); entry; entry = this.#releases.pop()) {
      try {
        await entry.release()
      } catch (err) {
        this.#log.error({ err, resource: entry.name }, 'release_failed')
      }
    }
  }
}
