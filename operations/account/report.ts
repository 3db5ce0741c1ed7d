import { z } from 'zod'
import type { MissingOffsets } from '../../lib/archive/chain.ts'

const owner = z.object({
  id: z.int(),
  spotifyId: z
    .string()
    .nullable()
    .describe("null if the user's row is gone: erased, or lost with the database"),
  erasedAt: z.date().nullable().describe('when the user was erased for the first time'),
})

/** The user whose data are meant; after an erasure or a loss of the database, the id is all that is known. */
export type Owner = z.infer<typeof owner>

const rowCounts = z.record(z.string(), z.int())

/** Rows of a user, by table. */
export type RowCounts = z.infer<typeof rowCounts>

const missingOffsets = z.object({
  topic: z.string(),
  partition: z.int(),
  incarnation: z.int().exactOptional().describe("of the partition's log; absent if it is the first one"),
  from: z.int(),
  to: z.int(),
}) satisfies z.ZodType<MissingOffsets>

const archiveErasure = z.object({
  read: z.int().describe('objects that were read'),
  passed: z.int().describe('objects that the index says are free of the user'),
  objects: z.int().describe('objects with records of the user'),
  records: z.int(),
  damaged: z.array(z.string()).describe('objects that cannot be read; the user may be in them'),
  missing: z.array(missingOffsets).describe('offsets that no listed object holds; the user may be there'),
  confirmed: z.boolean().describe('a last listing showed only objects that are known to be free of the user'),
})

/** What the archive holds of a user, or held before the erasure. */
export type ArchiveErasure = z.infer<typeof archiveErasure>

const heldRecords = z.object({
  topic: z.string(),
  records: z.int(),
  newest: z.string().nullable().describe('partition/offset of the newest of them'),
  until: z.date().nullable().describe('by then the topic has forgotten them'),
})

/** Records of a user that a topic holds. They cannot be removed one by one. */
export type HeldRecords = z.infer<typeof heldRecords>

export const receipt = z.object({
  user: owner,
  executed: z.boolean(),
  at: z.date(),
  tables: rowCounts.describe('rows, by table'),
  notes: z.int().describe('notes of decisions on dead letters'),
  archive: archiveErasure,
  topics: z.object({
    held: z.array(heldRecords),
    unarchived: z.int().describe('pages that were not in the archive when it was listed'),
  }),
  polling: z.boolean().describe('a poller was asking for a page of the user'),
  aborted: z.boolean(),
})

/** What was removed of a user, or would be, what remains, and until when. */
export type Receipt = z.infer<typeof receipt>

export const indexReport = z.object({
  executed: z.boolean(),
  objects: z.int(),
  unnamed: z.int().describe('objects without an entry'),
  orphans: z.int().describe('entries without an object'),
  written: z.int(),
  damaged: z.array(z.string()).describe('objects that cannot be read'),
  aborted: z.boolean(),
})

export type IndexReport = z.infer<typeof indexReport>

export const rotationReport = z.object({
  executed: z.boolean(),
  current: z.int().describe('users whose tokens had the first key already'),
  sealed: z.int(),
  unreadable: z
    .array(z.object({ userId: z.int(), reason: z.string() }))
    .describe('sealed with a key that is missing, or damaged'),
  busy: z.int().describe('users whose tokens were being refreshed at every try'),
  aborted: z.boolean(),
})

/** `sealed` + `current` + `unreadable` + `busy` = all users with tokens, unless it was aborted. */
export type RotationReport = z.infer<typeof rotationReport>
