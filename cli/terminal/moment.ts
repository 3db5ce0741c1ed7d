import { InvalidArgumentError } from 'commander'

const unitMs: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/**
 * Reads a moment as an operator writes it: `7d` or `-90m` (before now), or `2026-11-24` or `2026-11-24T08:15:00` (UTC
 * unless it names a zone).
 *
 * @returns null if the text is neither
 */
export function toMoment(text: string, now: Date): Date | null {
  const ago = /^-?(\d{1,9})([smhdw])$/.exec(text)
  if (!ago) return toInstant(text)
  return toValid(new Date(now.getTime() - Number(ago[1]) * (unitMs[ago[2] ?? ''] ?? 0)))
}

/** Reads an ISO date, with or without a time and a zone; without a zone it is UTC. */
export function toInstant(text: string): Date | null {
  const iso = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d{1,3})?)?)(Z|[+-]\d\d:?\d\d)?)?$/.exec(
    text,
  )
  if (!iso) return null
  return toValid(new Date(`${iso[1]}T${(iso[2] ?? '00:00').replace(',', '.')}${iso[3] ?? 'Z'}`))
}

function toValid(at: Date): Date | null {
  return Number.isNaN(at.getTime()) ? null : at
}

/** Parses an option of commander's. */
export function parseMoment(text: string): Date {
  const at = toMoment(text, new Date())
  if (!at) throw new InvalidArgumentError('Give a span (90m, 7d) or a date (2026-11-24T08:15:00).')
  return at
}
