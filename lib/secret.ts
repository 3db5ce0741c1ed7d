import { inspect } from 'node:util'

const redacted = '[redacted]'

/** A value that must not be seen: printing, logging or serialising it gives `[redacted]`. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself; call it where it is used, and nowhere else. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return redacted
  }

  toJSON(): string {
    return redacted
  }

  [inspect.custom](): string {
    return redacted
  }
}
