import { toCount, toSpan } from '../../lib/words.ts'
import type { OnProgress } from '../../operations/operator.ts'
import type { Screen } from './terminal.ts'

const silentMs = 2_000
const everyMs = 500

/**
 * The line on standard error that shows the progress of long work. It appears after two seconds, and only on a
 * terminal.
 */
export class ProgressLine {
  readonly #stderr: Screen
  #drawnAt: number | null = null

  constructor(stderr: Screen) {
    this.#stderr = stderr
  }

  /** Returns a function that draws the progress of an operation. */
  of(unit: string): OnProgress {
    let [startedAt, last] = [performance.now(), 0]
    return (done, total) => {
      const now = performance.now()
      if (done < last) startedAt = now
      last = done
      const ms = now - startedAt
      const isDrawn = this.#drawnAt !== null && now - this.#drawnAt < everyMs
      if (!this.#stderr.isTTY || ms < silentMs || isDrawn) return
      this.#drawnAt = now
      this.#stderr.write(`\r\u001b[K${toProgressLine({ done, total, ms, unit })}`)
    }
  }

  /** Clears the line until the next report. */
  clear(): void {
    if (this.#drawnAt !== null) this.#stderr.write('\r\u001b[K')
    this.#drawnAt = null
  }
}

/** `1,200 of 5,000 records (24 %), 400/s, 9s left` */
export function toProgressLine(at: { done: number; total: number | null; ms: number; unit: string }): string {
  const { done, total, ms, unit } = at
  const rate = ms > 0 ? (done * 1000) / ms : 0
  const speed = `${toCount(Math.round(rate))}/s`
  if (total === null) return `${toCount(done)} ${unit}, ${speed}`
  const percent = total > 0 ? Math.min(100, Math.floor((done * 100) / total)) : 100
  const left = rate > 0 ? `${toSpan((Math.max(0, total - done) / rate) * 1000)} left` : 'no end in sight'
  return `${toCount(done)} of ${toCount(total)} ${unit} (${percent} %), ${speed}, ${left}`
}
