import { z } from 'zod'
import { incarnationOf } from '../../lib/archive/incarnations.ts'
import type { Broker } from '../operator.ts'
import type { ArchiveObject } from './archive-objects.ts'
import { bound } from './bounds.ts'
import { openRun } from './journal.ts'
import { removals } from './removals.ts'
import { rerunReport } from './run.ts'
import { missingOffsets } from './tally.ts'

/** What a restore would read of one topic. */
export const topicSum = z.object({
  topic: z.string(),
  objects: z.int(),
  records: z.int().describe('offsets that the objects cover: as many records, but for those of erased users'),
  firstDate: z.string().nullable().describe('of the first record of the first object'),
  lastDate: z.string().nullable().describe('of the first record of the last object'),
  inTopic: z.int().describe('records of these objects that the topic still has'),
})

export const restorePlan = z.object({
  executed: z.literal(false),
  choice: z.object({
    topics: z.array(z.string()).readonly(),
    from: bound.nullable(),
    to: bound.nullable(),
    partitions: z.array(z.int()).readonly().nullable(),
    user: z.int().nullable(),
  }),
  topics: z.array(topicSum),
  objects: z.array(z.string()).describe('keys'),
  missing: z.array(missingOffsets).describe('offsets that no listed object holds'),
  unfinished: z.array(openRun).describe('runs that can be resumed'),
  unclaimed: removals.nullable().describe('null if records go back into their topic'),
})

export const filePlan = z.object({
  executed: z.literal(false),
  plays: z.int(),
  faults: z.array(z.string()).describe('lines that are no plays'),
})

export const restoreReport = z.union([restorePlan, filePlan, rerunReport])
export type TopicSum = z.infer<typeof topicSum>
export type RestorePlan = z.infer<typeof restorePlan>
export type FilePlan = z.infer<typeof filePlan>
export type RestoreReport = RestorePlan | z.infer<typeof rerunReport>

export async function sumTopic(
  { admin }: Broker,
  topic: string,
  objects: readonly ArchiveObject[],
): Promise<TopicSum> {
  const own = objects.filter((o) => o.topic === topic)
  const ends = new Map((await admin.readEnds(topic))?.map((e) => [e.partition, e]))
  const dates = own.map((o) => o.date).sort()
  const sum = (of: (o: ArchiveObject) => number) => own.reduce((n, o) => n + of(o), 0)
  const held = (object: ArchiveObject) => {
    const { partition, firstOffset, lastOffset } = object
    const end = ends.get(partition)
    // The topic no longer holds the records of an earlier log, even where offsets match.
    const isPresent = !own.some((o) => o.partition === partition && incarnationOf(o) > incarnationOf(object))
    if (!end || !isPresent) return 0
    return Math.max(0, Math.min(lastOffset + 1, end.end) - Math.max(firstOffset, end.start))
  }
  return {
    ...{ topic, objects: own.length, records: sum((o) => o.lastOffset + 1 - o.firstOffset) },
    ...{ firstDate: dates[0] ?? null, lastDate: dates.at(-1) ?? null, inTopic: sum(held) },
  }
}
