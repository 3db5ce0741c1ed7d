import { z } from 'zod'

export const event = z.object({
  type: z.string(),
  subject: z.string().describe('user:7, app, group:loader.history, …'),
  severity: z.string(),
  state: z.string().describe('raised, or resolved by what ended it'),
  message: z.string(),
  details: z.record(z.string(), z.string()),
  service: z.string(),
  at: z.date(),
})

const undecoded = z.object({
  undecoded: z.object({ partition: z.int(), offset: z.int() }).describe('place of a record that is no event'),
  at: z.date(),
})

export const eventReport = z.union([event, undecoded])

export type Event = z.infer<typeof event>
export type EventReport = z.infer<typeof eventReport>
