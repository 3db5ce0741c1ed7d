import { z } from 'zod'
import type { MissingOffsets } from '../../lib/archive/chain.ts'
import { toMissingText } from '../../lib/archive/chain.ts'
import type { DeadLetter } from '../../lib/kafka/dead-letter.ts'
import type { UnclaimedPlay } from '../../services/loader/claim-store.ts'
import { toUnclaimedText } from '../../services/loader/claim-store.ts'

export const missingOffsets = z.object({
  topic: z.string(),
  partition: z.int(),
  incarnation: z.int().exactOptional().describe("of the partition's logs; absent for the first one"),
  from: z.int(),
  to: z.int().describe('included'),
})

/** How the records of a rerun ended. The journal keeps it, so it is plain JSON. */
export const tally = z.object({
  read: z.int().describe('records read within the range'),
  passedOver: z.int().describe('of these, records of other users or times, or of users who were erased'),
  forgotten: z.int().describe('records that the topic no longer had when their turn came'),
  items: z.int().describe('items of pages: the sum of stored, alreadyThere, changed, dropped and rejected'),
  stored: z.int(),
  alreadyThere: z.int(),
  changed: z.int(),
  dropped: z.int(),
  rejected: z.int(),
  removed: z.int().describe('plays that no page claims'),
  unjudged: z
    .int()
    .describe(
      'facts on which the newest version is silent, and plays of pages with rejected items; they stay',
    ),
  gaps: z.int().describe('gaps that were not known'),
  deadKnown: z.int().describe('dead letters that lie in their topic already'),
  found: z.int().describe('entities that answers hold'),
  notFound: z.int().describe('ids that do not exist'),
  catalogueRows: z.int().describe('rows of tracks, albums, artists and features that were written'),
  objectsPut: z.int(),
  recordsPut: z.int().describe('records in the objects put'),
  published: z.int().describe('records put back into the topic'),
  removedExamples: z
    .array(z.string())
    .describe('the first ten: partition/offset of the page, user, time, track'),
  deadLetters: z.record(z.string(), z.int()).describe('by reason'),
  deadExamples: z.array(z.string()).describe('the first ten: partition/offset, reason, message'),
  missing: z.array(missingOffsets).describe('offsets that no listed object holds'),
  damaged: z
    .array(z.object({ key: z.string(), reason: z.string() }))
    .describe('objects that could not be read to their end'),
  kept: z
    .int()
    .describe('plays that their own page does not claim and another page does: they are its plays now'),
})

export type Tally = z.infer<typeof tally>

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
    kept: 0,
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

/** Counts removed plays, and keeps the first ones as examples. */
export function addRemoved(tally: Tally, plays: readonly UnclaimedPlay[]): void {
  tally.removed += plays.length
  const left = examplesKept - tally.removedExamples.length
  tally.removedExamples.push(...plays.slice(0, left).map(toUnclaimedText))
}

/** Adds offsets that no object holds, each range once. */
export function addMissing(tally: Tally, found: readonly MissingOffsets[]): void {
  for (const range of found) {
    const text = toMissingText(range)
    if (!tally.missing.some((known) => toMissingText(known) === text)) tally.missing.push(range)
  }
}
