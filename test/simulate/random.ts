/** Gives numbers in [0, 1), the same for the same seed (mulberry32). */
export type Random = () => number

export function openRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Random moments in `[0, untilMs)`, on average `perDay` a day, in order. */
export function momentsOf(random: Random, perDay: number, untilMs: number): number[] {
  const moments: number[] = []
  if (perDay <= 0) return moments
  for (let at = 0; ; ) {
    at += (-Math.log(1 - random()) / perDay) * 86_400_000
    if (at >= untilMs) return moments
    moments.push(at)
  }
}
