import { createRandom } from '../../simulators/random.ts'

/** One round of a run: faults at the same time. */
export type Round<F> = readonly F[]

/** Every fault alone, in an order that depends on the seed. */
export function each<F>(faults: readonly F[], seed: number): Round<F>[] {
  const random = createRandom(seed, 1)
  const keyed = faults.map((fault) => ({ fault, key: random.next() }))
  return keyed.toSorted((a, b) => a.key - b.key).map(({ fault }) => [fault])
}

/** Pairs of different faults; the same seed gives the same pairs. */
export function pairs<F>(faults: readonly F[], seed: number, rounds: number): Round<F>[] {
  const random = createRandom(seed, 2)
  return Array.from({ length: rounds }, () => {
    const first = random.int(faults.length)
    const second = (first + 1 + random.int(faults.length - 1)) % faults.length
    return [faults[first], faults[second]].flatMap((f) => f ?? [])
  })
}
