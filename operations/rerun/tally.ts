import type { MissingOffsets } from '../../lib/archive/chain.ts'
import { toMissingText } from '../../lib/archive/chain.ts'
import type { DeadLetter } from '../../lib/kafka/dead-letter.ts'
import type { UnclaimedPlay } from '../../services/loader/claim-store.ts'
import { toUnclaimedText } from '../../services/loader/claim-store.ts'

/** What became of the records of a rerun. Kept in the journal, so plain JSON. */
export interface Tally {
  /** Records read within the range. */
  read: number
  /** Of these, records of other users or times, or of users who were erased. */
  passedOver: number
  /** Records that the topic or the archive no longer had when their turn came. */
  forgotten: number
  /** Items of pages; `items` = stored + alreadyThere + changed + dropped + rejected. */
  items: number
  stored: number
  alreadyThere: number
  changed: number
  dropped: number
  rejected: number
  /** Plays that their own page no longer claims. */
  removed: number
  /** The first of them: `partition/offset: user, time and track`. */
  removedExamples: string[]
  /** Facts on which the newest version is silent, and plays of pages with rejected items: right or wrong, they stay. */
  unjudged: number
  /** Gaps that were not known. */
  gaps: number
  /** Answers about tracks, artists and features: entities, and ids that do not exist. */
  found: number
  notFound: number
  /** Rows of tracks, albums, artists and features that are new, changed, or seen again later. */
  catalogueRows: number
  /** Objects put into the archive, and the records that they hold. */
  objectsPut: number
  recordsPut: number
  /** Records put back into the topic. */
  published: number
  /** Dead letters that lie in their topic already; nothing new is published for them. */
  deadKnown: number
  /** By reason. */
  deadLetters: Record<string, number>
  /** The first of them: `partition/offset: reason: message`. */
  deadExamples: string[]
  /** Offsets that no object of the archive holds which was listed. */
  missing: MissingOffsets[]
  /** Objects that could not be read to their end. */
  damaged: { key: string; reason: string }[]
}

const examplesKept = 10

export function emptyTally(): Tally {
  return {
    ...{ read: 0, passedOver: 0, forgotten: 0 },
    ...{ items: 0, stored: 0, alreadyThere: 0, changed: 0, dropped: 0, rejected: 0 },
    ...{ removed: 0, unjudged: 0, gaps: 0, deadKnown: 0 },
    ...{ found: 0, notFound: 0, catalogueRows: 0, objectsPut: 0, recordsPut: 0, published: 0 },
    removedExamples: [],
    deadLetters: {},
    deadExamples: [],
    missing: [],
    damaged: [],
  }
}

/** Counts what a feeder settles. @param onRead so many more records */
export function countSettled(
  tally: Tally,
  onRead: (records: number) => void,
): (settled: { read: number; wanted: number }) => void {
  return ({ read, wanted }) => {
    tally.read += read
    tally.passedOver += read - wanted
    onRead(read)
  }
}

export function addDeadLetters(tally: Tally, letters: readonly DeadLetter[]): void {
  for (const { record, reason, message } of letters) {
    tally.deadLetters[reason] = (tally.deadLetters[reason] ?? 0) + 1
    if (tally.deadExamples.length < examplesKept) {
      tally.deadExamples.push(`${record.partition}/${record.offset}: ${reason}: ${message}`)
    }
  }
}

/** Counts plays that were removed, and keeps the first ones by name. */
export function addRemoved(tally: Tally, plays: readonly UnclaimedPlay[]): void {
  tally.removed += plays.length
  const left = examplesKept - tally.removedExamples.length
  tally.removedExamples.push(...plays.slice(0, left).map(toUnclaimedText))
}

export function countDeadLetters(tally: Tally): number {
  return Object.values(tally.deadLetters).reduce((sum, n) => sum + n, 0)
}

/** Notes offsets that are in no object, once. */
export function addMissing(tally: Tally, found: readonly MissingOffsets[]): void {
  for (const range of found) {
    const text = toMissingText(range)
    if (!tally.missing.some((known) => toMissingText(known) === text)) tally.missing.push(range)
  }
}
