import { z } from 'zod'
import type { DeadLetterOrigin } from '../../lib/kafka/dead-letter.ts'
import { shownValue } from './value.ts'

const letterState = z.enum(['open', 'redriven', 'discarded']).describe('open until an operator decides')

/** `open` until an operator decides. */
export type LetterState = z.infer<typeof letterState>

const decision = z.object({
  state: letterState.exclude(['open']),
  redrives: z.int(),
  decidedAt: z.date(),
  note: z.string().nullable(),
})

/** An operator's decision on a dead letter. */
export type Decision = z.infer<typeof decision>

const obituary = z.object({
  topic: z.string(),
  partition: z.int(),
  offset: z.int(),
  group: z.string(),
  reason: z.string(),
  at: z.number().describe('when it became a dead letter, in Unix milliseconds'),
  timestamp: z.number().describe('of the original record, in Unix milliseconds'),
  message: z.string(),
  attempts: z.int(),
}) satisfies z.ZodType<DeadLetterOrigin>

const listedLetter = z.object({
  partition: z.int().describe('of the dead-letter topic'),
  offset: z.int(),
  state: letterState,
  diedAt: z.date(),
  obituary: obituary.nullable().describe('null if no service put the record there'),
  decision: decision.nullable(),
})

export type ListedLetter = z.infer<typeof listedLetter>

const letterSummary = z.object({
  reason: z.string(),
  group: z.string(),
  topic: z.string(),
  open: z.int(),
  redriven: z.int(),
  discarded: z.int(),
  firstAt: z.date(),
  lastAt: z.date(),
  example: z.object({ place: z.string(), message: z.string() }).describe('the latest of them'),
})

/** Dead letters of one reason, group and topic. */
export type LetterSummary = z.infer<typeof letterSummary>

export const lettersReport = z.union([z.array(letterSummary), z.array(listedLetter)])

const text = z.object({ text: z.string().nullable(), base64: z.string().nullable() })

export const letterReport = listedLetter.extend({
  key: text.nullable(),
  headers: z.array(text.extend({ name: z.string() })),
  timestamp: z.date().describe('of the record in the dead-letter topic'),
  value: shownValue,
})

export type LetterReport = z.infer<typeof letterReport>

export const decisionReport = z.object({
  executed: z.boolean(),
  done: z.int().describe('chosen and, when executed, carried out'),
  groups: z.array(letterSummary),
  failures: z.array(z.object({ place: z.string(), reason: z.string() })).describe('these stay as they were'),
  decided: z
    .array(z.object({ place: z.string(), state: letterState }))
    .describe('named by their place, but decided on before'),
  aborted: z.boolean(),
})

export type DecisionReport = z.infer<typeof decisionReport>

export const burialReport = z.object({
  executed: z.boolean(),
  group: z.string(),
  topic: z.string(),
  partition: z.int(),
  offset: z.int(),
  committed: z.int().describe('where the group stands'),
  timestamp: z.date(),
})

export type BurialReport = z.infer<typeof burialReport>
