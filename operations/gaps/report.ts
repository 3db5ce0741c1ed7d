import { z } from 'zod'

const page = z.object({ source: z.string(), partition: z.int(), offset: z.int() })

const gap = z.object({
  userId: z.int(),
  name: z.string().nullable().describe('null if the user is not there any more'),
  after: z.date(),
  before: z.date(),
  detectedAt: z.date(),
  closedAt: z.date().nullable().describe('null while the gap is open'),
  plays: z.int().describe('plays that are stored within it'),
  closedByPage: page
    .nullable()
    .describe('null if the gap is open, or was closed by other means or by an older version'),
})

const closingPage = page.extend({ plays: z.int().describe('plays that it brought into the gap') })

export const gapsReport = z.array(gap)

export const gapsOfUserReport = z.array(
  gap.extend({
    why: z.array(z.string()).describe('why plays were lost, as far as events and topics show'),
    closedBy: z.array(closingPage).describe('pages that closed it, or brought plays into it in that moment'),
  }),
)

export type Gap = z.infer<typeof gap>
export type ClosingPage = z.infer<typeof closingPage>
export type GapsReport = z.infer<typeof gapsReport>
export type GapsOfUserReport = z.infer<typeof gapsOfUserReport>
