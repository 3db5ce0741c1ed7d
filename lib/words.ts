const units: readonly [string, number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
]

/** A span of time in its largest unit, rounded down: `4s`, `3m`, `2h`, `5d`. */
export function toSpan(ms: number): string {
  for (const [unit, size] of units) {
    if (ms >= size) return `${Math.floor(ms / size)}${unit}`
  }
  return '0s'
}

/** A moment relative to now: `3m ago` or `in 3m`; a dash if there is none. */
export function toRelative(at: Date | null, now: Date): string {
  if (at === null) return '-'
  const ms = now.getTime() - at.getTime()
  return ms >= 0 ? `${toSpan(ms)} ago` : `in ${toSpan(-ms)}`
}

/** A moment in UTC to the second: `2026-11-24 08:15:02 UTC`. */
export function toUtc(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

const grouped = new Intl.NumberFormat('en-US')

/** A count with separated thousands: `12,345`. */
export function toCount(n: number): string {
  return grouped.format(n)
}

/** `1 user`, `2 users`. */
export function toPlural(n: number, noun: string): string {
  return `${toCount(n)} ${noun}${n === 1 ? '' : 's'}`
}
