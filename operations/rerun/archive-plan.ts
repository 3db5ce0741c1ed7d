import { sameLog } from '../../lib/archive/key.ts'
import type { SpotifyResponse, Topic, Topology } from '../../lib/topology.ts'
import { OperatorFault } from '../fault.ts'
import type { Archive } from '../operator.ts'
import type { ArchiveObject } from './archive-objects.ts'
import { chooseObjects, coverOffsets, listTopic } from './archive-objects.ts'
import type { Choice } from './bounds.ts'
import type { Stretch } from './journal.ts'

/** What to read from the archive. The journal keeps it, so it is plain JSON. */
export interface ArchiveChoice extends Choice {
  topics: readonly string[]
  user: number | null
}

/** An archived topic, by its name with or without `KAFKA_PREFIX`. @throws OperatorFault for any other */
export function resolveTopic(name: string, topology: Topology): Topic<SpotifyResponse> {
  const archived = [topology.recentlyPlayed, topology.metadata]
  const found = archived.find(
    (t) => t.name === name || (t.name.endsWith(name) && name.startsWith('spotify.')),
  )
  if (found) return found
  throw new OperatorFault(
    `The archive has no topic "${name}"`,
    `It has ${archived.map((t) => t.name).join(' and ')}.`,
    { code: 'usage' },
  )
}

/** The objects that may hold chosen records, in the order of places, with the offsets that they cover. */
export async function chooseFromArchive(archive: Archive, choice: ArchiveChoice): Promise<ArchiveObject[]> {
  const chosen: ArchiveObject[] = []
  for (const topic of choice.topics) {
    const keys = await listTopic(archive, topic)
    chosen.push(...(await coverOffsets(archive, chooseObjects(keys, choice), keys)))
  }
  return chosen
}

/** Objects with offsets that a run has not read yet. */
export function leftOf(objects: readonly ArchiveObject[], stretches: readonly Stretch[]): ArchiveObject[] {
  return objects.filter((object) => {
    const stretch = stretches.find((s) => sameLog(s, object))
    return stretch !== undefined && object.firstOffset < stretch.to && object.lastOffset >= stretch.next
  })
}

/** For each log, the offsets from its first object to its last. */
export function toStretches(objects: readonly ArchiveObject[]): Stretch[] {
  const logs = Map.groupBy(objects, (o) => `${o.topic}/${o.partition}/${o.incarnation ?? 0}`)
  return [...logs.values()].map(toStretch)
}

function toStretch(objects: readonly ArchiveObject[]): Stretch {
  const [first] = objects
  const last = objects.at(-1)
  const from = first?.firstOffset ?? 0
  const to = (last?.lastOffset ?? 0) + 1
  const { topic = '', partition = 0, incarnation } = first ?? {}
  return { topic, partition, ...(incarnation && { incarnation }), from, to, next: from }
}
