import { toPrintable } from '../../cli/terminal/table.ts'
import { sameLog } from '../../lib/archive/key.ts'
import type { SpotifyResponse, Topic, Topology } from '../../lib/topology.ts'
import { OperatorFault } from '../fault.ts'
import type { Archive } from '../operator.ts'
import type { Choice } from '../rerun/bounds.ts'
import type { Plan, Stretch } from '../rerun/journal.ts'
import type { Tally } from '../rerun/tally.ts'
import { emptyTally } from '../rerun/tally.ts'
import type { ArchiveObject } from './objects.ts'
import { chooseObjects, coverOffsets, listTopic } from './objects.ts'

/** What to restore; kept in the journal, so plain JSON. */
export interface RestoreChoice extends Choice {
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
    `The archive has no topic "${toPrintable(name)}"`,
    `It has ${archived.map((t) => t.name).join(' and ')}.`,
    { code: 'usage' },
  )
}

/**
 * Chooses the objects, and for each log the offsets that they span.
 *
 * @param known of a run to be resumed: its stretches bound what is read
 */
export async function planRestore(
  archive: Archive,
  choice: RestoreChoice,
  known: readonly Stretch[] | null,
): Promise<{ chosen: ArchiveObject[]; objects: ArchiveObject[]; fresh: { plan: Plan; tally: Tally } }> {
  const chosen: ArchiveObject[] = []
  for (const topic of choice.topics) {
    const keys = await listTopic(archive, topic)
    chosen.push(...(await coverOffsets(archive, chooseObjects(keys, choice), keys)))
  }
  const objects = known ? chosen.filter((o) => isLeft(o, known)) : chosen
  const stretches = [
    ...Map.groupBy(objects, (o) => `${o.topic}/${o.partition}/${o.incarnation ?? 0}`).values(),
  ].map(toStretch)
  return { chosen, objects, fresh: { plan: { stretches, choice: { ...choice } }, tally: emptyTally() } }
}

function isLeft(object: ArchiveObject, known: readonly Stretch[]): boolean {
  const { firstOffset, lastOffset } = object
  const stretch = known.find((s) => sameLog(s, object))
  return stretch !== undefined && firstOffset < stretch.to && lastOffset >= stretch.next
}

function toStretch(objects: readonly ArchiveObject[]): Stretch {
  const [first] = objects
  const last = objects.at(-1)
  const from = first?.firstOffset ?? 0
  const to = (last?.lastOffset ?? 0) + 1
  const { topic = '', partition = 0, incarnation } = first ?? {}
  return { topic, partition, ...(incarnation && { incarnation }), from, to, next: from }
}
