/**
 * Random choices from a seed: the same seed gives the same sequence on every machine and after every restart.
 */
export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** An integer in [0, bound). */
  int(bound: number): number
  chance(probability: number): boolean
  between(low: number, high: number): number
  pick<T>(choices: readonly [T, ...T[]]): T
}

/** Mixes integers into one unsigned 32 bit integer (murmur3's finalizer after each part). */
export function hash32(...parts: readonly number[]): number {
  let hash = 0x9e3779b9
  for (const part of parts) {
    hash = Math.imul(hash ^ (part | 0), 0x85ebca6b)
    hash ^= hash >>> 13
    hash = Math.imul(hash, 0xc2b2ae35)
    hash ^= hash >>> 16
  }
  return hash >>> 0
}

/** A fraction in [0, 1), a pure function of these numbers. */
export function fraction(...parts: readonly number[]): number {
  return hash32(...parts) / 2 ** 32
}

/** A sequence of choices (mulberry32), seeded by these numbers. */
export function createRandom(...parts: readonly number[]): Random {
  let state = hash32(...parts)
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (bound: number): number => Math.floor(next() * bound)
  return {
    next,
    int,
    chance: (probability) => next() < probability,
    between: (low, high) => low + next() * (high - low),
    pick: (choices) => choices[int(choices.length)] ?? choices[0],
  }
}

/**
 * An index in [0, size) from a fraction, by Zipf's law with exponent 1: the n-th choice is taken about 1/n as
 * often as the first. An approximation by the inverse of a logarithmic distribution function, without a table.
 */
export function zipfIndex(uniform: number, size: number): number {
  return Math.min(size - 1, Math.floor(Math.exp(uniform * Math.log(size + 1))) - 1)
}
