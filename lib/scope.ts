import type { Logger } from './log.ts'

/** Something that must be released: closed, stopped, disconnected. */
export interface Resource {
  close(): Promise<void> | void
}

/**
 * Holds the resources that a process opened, and releases them in reverse order. Acquire and register on the same line:
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

  /** Registers a release that belongs to no resource. */
  defer(name: string, release: () => Promise<void> | void): void {
    this.#releases.push({ name, release })
  }

  /** Releases everything, last first. Logs a release that fails, and goes on with the others. */
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
