import type { Observation } from './catalogue.ts'
import { compareText } from './catalogue.ts'

/** The numbers of a batch by id and day; the last one of a day wins. */
export class Observations {
  readonly #days = new Map<string, Map<string, Observation>>()

  /** Ignores null. `at` is in Unix ms, `day` is its UTC date. */
  add(id: string, value: number | null, { at, day }: { at: number; day: string }): void {
    if (value === null) return
    let ofDay = this.#days.get(day)
    if (!ofDay) {
      ofDay = new Map()
      this.#days.set(day, ofDay)
    }
    const known = ofDay.get(id)
    if (!known || known.at < at) ofDay.set(id, { id, day, value, at })
  }

  /** Sorted by id and day. */
  toRows(): Observation[] {
    const rows = [...this.#days.values()].flatMap((ofDay) => [...ofDay.values()])
    return rows.sort((a, b) => compareText(a.id, b.id) || compareText(a.day, b.day))
  }
}
