import { z } from 'zod'
import type { Verdict } from '../../lib/lag/verdict.ts'
import { verdicts } from '../../lib/lag/verdict.ts'

const verdict = z.enum(Object.keys(verdicts) as Verdict[])

const partitionStanding = z.object({
  topic: z.string(),
  partition: z.int(),
  start: z.int().describe('first offset that the topic still has'),
  end: z.int().describe('offset that the next record will get'),
  committed: z.int().nullable().describe('null if the group never committed'),
  lag: z.int().describe('records waiting'),
  position: z.int().describe('offset that the group reads next'),
  forgotten: z.int().describe('records that retention removed before the group read them'),
  lagMs: z
    .number()
    .nullable()
    .describe('age of the oldest record that waits; 0 if none waits, or null if it is not known'),
  verdict,
})

export const groupStanding = z.object({
  group: z.string(),
  state: z.string().describe('as Kafka calls it: Stable, Empty, Dead, …'),
  members: z.array(
    z.object({
      clientId: z.string(),
      host: z.string(),
      assigned: z.array(z.object({ topic: z.string(), partitions: z.array(z.int()) })),
    }),
  ),
  partitions: z.array(partitionStanding),
  lag: z.int().describe('records waiting'),
  lagMs: z.number().nullable().describe('the largest of its partitions, or null if it is not known'),
  verdict: verdict.describe('the worst of its partitions'),
})

export const lagReport = z.object({
  at: z.date(),
  verdict: verdict.describe('the worst of the groups'),
  groups: z.array(groupStanding),
})

export type PartitionStanding = z.infer<typeof partitionStanding>
export type GroupStanding = z.infer<typeof groupStanding>
export type LagReport = z.infer<typeof lagReport>
