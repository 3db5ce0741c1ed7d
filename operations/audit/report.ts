import { z } from 'zod'

const faults = z
  .array(z.string())
  .describe('what does not add up, a line each, with the place; the first 1,000')

/** Each item counts once: `items` is the sum of stored, duplicates, dropped, rejected, deadLettered and missing. */
const account = z.object({
  records: z.int().describe('taken by the loader'),
  items: z.int(),
  stored: z.int(),
  duplicates: z.int(),
  dropped: z.record(z.string(), z.int()).describe('by reason'),
  rejected: z.int(),
  deadLettered: z
    .int()
    .describe('items of pages that are dead letters as a whole, because their handler failed'),
  deadPages: z.int().describe('records that are no pages and have their dead letter'),
  missing: z.int(),
  unclaimed: z.int().describe('rows that name a page which does not show them'),
  faults,
  moreFaults: z.int().describe('faults beside those listed'),
})

/** How much of a range of offsets is in the archive. */
const coverage = z.object({
  archived: z.int(),
  waiting: z.int().describe('behind the last object: its object is still open'),
  faults,
  moreFaults: z.int().optional().describe('faults beside those listed; absent if there are none'),
})

export const auditReport = z.object({
  records: z.int().describe('pages in the topic'),
  waiting: z.int().describe('records that the loader has not taken yet'),
  account,
  archive: z.record(z.string(), coverage).nullable().describe('by topic, or null if it was left out'),
  addsUp: z.boolean(),
})

export type Account = z.infer<typeof account>
export type Coverage = z.infer<typeof coverage>
export type AuditReport = z.infer<typeof auditReport>
