import { z } from 'zod'

const place = { topic: z.string(), partition: z.int() }

export const offsetsReport = z.array(
  z.object({
    group: z.string(),
    state: z.string().describe('as Kafka calls it: Stable, Empty, Dead, …'),
    members: z.int(),
    partitions: z.array(
      z.object({
        ...place,
        start: z.int().describe('first offset that the topic still has'),
        end: z.int().describe('offset that the next record will get'),
        committed: z.int().nullable().describe('null if the group never committed'),
        lag: z.int().describe('records waiting'),
      }),
    ),
  }),
)

export const committedOffsets = z.object({
  group: z.string(),
  offsets: z.array(z.object({ ...place, offset: z.int() })),
})

const move = z.object({
  ...place,
  from: z.int().nullable().describe('committed before, or null if nothing was'),
  to: z.int(),
  clamped: z
    .boolean()
    .describe('true if the topic does not have the offset that was asked for; `to` is then the nearest one'),
})

export const moveReport = z.object({
  group: z.string(),
  executed: z.boolean(),
  moves: z.array(move).describe('of every partition that was chosen'),
})

export type OffsetsReport = z.infer<typeof offsetsReport>
export type CommittedOffsets = z.infer<typeof committedOffsets>
export type Move = z.infer<typeof move>
export type MoveReport = z.infer<typeof moveReport>
