import type { Obituary } from '../../lib/kafka/dead-letter.ts'
import { readObituary } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'

/** `open`: nobody has decided yet. */
export type LetterState = 'open' | 'redriven' | 'discarded'

/** What was decided on a dead letter. */
export interface Decision {
  state: Exclude<LetterState, 'open'>
  redrives: number
  decidedAt: Date
  note: string | null
}

/** A record of the dead-letter topic and what is known of it. */
export interface Letter {
  record: RawRecord
  /** null: a record that nobody of ours put there; it can be discarded, not redriven. */
  obituary: Obituary | null
  /** Moment of its death; of a foreign record its timestamp. Unix ms. */
  diedAt: number
  decision: Decision | null
}

export interface LetterFilter {
  reason?: string
  group?: string
  topic?: string
  /** Died at this moment or later. */
  since?: Date
  state?: LetterState | 'all'
}

export function toLetter(record: RawRecord): Letter {
  const obituary = readObituary(record)
  return { record, obituary, diedAt: obituary?.at ?? record.timestamp, decision: null }
}

export function stateOf({ decision }: Pick<Letter, 'decision'>): LetterState {
  return decision?.state ?? 'open'
}

/** Partition and offset in the dead-letter topic, as the commands take them. */
export function toPlace({ record }: Pick<Letter, 'record'>): string {
  return `${record.partition}/${record.offset}`
}

/** Names what a foreign record lacks, in the place of a reason. */
export const foreign = 'not_ours'

/**
 * Whether a letter is meant. Groups and topics may be named without the prefix of the installation.
 */
export function matches(letter: Letter, filter: LetterFilter, prefix: string): boolean {
  const { obituary } = letter
  const named = (wanted: string | undefined, is: string | undefined) =>
    wanted === undefined || is === wanted || is === prefix + wanted
  return (
    (filter.reason === undefined || (obituary?.reason ?? foreign) === filter.reason) &&
    named(filter.group, obituary?.group) &&
    named(filter.topic, obituary?.topic) &&
    (filter.since === undefined || letter.diedAt >= filter.since.getTime()) &&
    (filter.state === undefined || filter.state === 'all' || stateOf(letter) === filter.state)
  )
}

/** Dead letters of one reason, group and topic. */
export interface LetterSummary {
  reason: string
  group: string
  topic: string
  open: number
  redriven: number
  discarded: number
  firstAt: Date
  lastAt: Date
  /** The latest of them. */
  example: { place: string; message: string }
}

/** One more letter in the summaries, by reason, group and topic; changes `summaries`. */
export function addLetter(summaries: Map<string, LetterSummary>, letter: Letter): void {
  const { reason = foreign, group = '-', topic = '-', message = '' } = letter.obituary ?? {}
  const key = JSON.stringify([reason, group, topic])
  const at = new Date(letter.diedAt)
  const example = { place: toPlace(letter), message }
  const known = summaries.get(key) ?? {
    ...{ reason, group, topic, open: 0, redriven: 0, discarded: 0 },
    ...{ firstAt: at, lastAt: at, example },
  }
  known[stateOf(letter)] += 1
  if (at < known.firstAt) known.firstAt = at
  if (at >= known.lastAt) {
    known.lastAt = at
    known.example = example
  }
  summaries.set(key, known)
}

/** `0/12`: partition and offset; null: it is none. */
export function parsePlace(text: string): { partition: number; offset: number } | null {
  const match = /^(\d{1,9})\/(\d{1,15})$/.exec(text)
  return match && { partition: Number(match[1]), offset: Number(match[2]) }
}
