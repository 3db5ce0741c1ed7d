import type { DeadLetterOrigin } from '../../lib/kafka/dead-letter.ts'
import { readOrigin } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Decision, LetterState, LetterSummary, ListedLetter } from './report.ts'

/** A record of the dead-letter topic, with its origin and its decision. */
export interface Letter {
  record: RawRecord
  /** Null if no service put the record there: it can be discarded, not redriven. */
  obituary: DeadLetterOrigin | null
  /** When it became a dead letter, in Unix ms; for a foreign record, its timestamp. */
  diedAt: number
  decision: Decision | null
}

export interface LetterFilter {
  reason?: string
  group?: string
  topic?: string
  /** Only letters that died at this moment or later. */
  since?: Date
  state?: LetterState | 'all'
}

export function toLetter(record: RawRecord): Letter {
  const obituary = readOrigin(record)
  return { record, obituary, diedAt: obituary?.at ?? record.timestamp, decision: null }
}

export function stateOf({ decision }: Pick<Letter, 'decision'>): LetterState {
  return decision?.state ?? 'open'
}

/** Partition and offset in the dead-letter topic, as an operator names a dead letter. */
export function toPlace({ partition, offset }: Pick<RawRecord, 'partition' | 'offset'>): string {
  return `${partition}/${offset}`
}

export function toListed(letter: Letter): ListedLetter {
  const { record, obituary, decision, diedAt } = letter
  const { partition, offset } = record
  return { partition, offset, state: stateOf(letter), diedAt: new Date(diedAt), obituary, decision }
}

/** Stands for the reason of a record that no service put there. */
export const foreign = 'not_ours'

/**
 * Whether a letter passes a filter. The filter may name groups and topics without `KAFKA_PREFIX`.
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

/** Adds a letter to `summaries`, which are by reason, group and topic. */
export function addLetter(summaries: Map<string, LetterSummary>, letter: Letter): void {
  const { reason = foreign, group = '-', topic = '-', message = '' } = letter.obituary ?? {}
  const key = JSON.stringify([reason, group, topic])
  const at = new Date(letter.diedAt)
  const example = { place: toPlace(letter.record), message }
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

/** Reads `PARTITION/OFFSET`, as in `0/12`, or null if it is something else. */
export function parsePlace(text: string): { partition: number; offset: number } | null {
  const match = /^(\d{1,9})\/(\d{1,15})$/.exec(text)
  return match && { partition: Number(match[1]), offset: Number(match[2]) }
}
