import type { Admin } from '../lib/kafka/admin.ts'
import { namesOf } from '../lib/lag/watch.ts'
import { groupTopics } from '../lib/topology.ts'
import { OperatorFault } from './fault.ts'
import type { Broker } from './operator.ts'

/**
 * Finds groups by the names that an operator uses, with the topics that each reads. The topology names the topics of
 * the stream's own groups; other groups (replays) read the topics that they committed to.
 *
 * @param names empty for all of the stream's own
 * @throws OperatorFault when a group does not exist
 */
export async function resolveGroups(
  { admin, client, topology }: Broker,
  names: readonly string[],
): Promise<Map<string, string[]>> {
  const own = namesOf(groupTopics(topology))
  if (names.length === 0) return own
  const foreign = (await admin.listGroups()).filter((g) => !own.has(g))
  const resolved = new Map<string, string[]>()
  for (const name of names) {
    const group = pickGroup(name, { own: [...own.keys()], foreign, prefix: client.config.prefix })
    if (group === null) throw unknownGroup(name, [...own.keys()])
    resolved.set(group, own.get(group) ?? (await committedTopics(admin, group)))
  }
  return resolved
}

/**
 * The group that an operator means. The stream's own groups come first: where installations share a cluster, the
 * plain name may also be the physical name of another installation's group.
 */
export function pickGroup(
  name: string,
  of: { own: readonly string[]; foreign: readonly string[]; prefix: string },
): string | null {
  return toPhysical(name, of.own, of.prefix) ?? toPhysical(name, of.foreign, of.prefix)
}

/** Like {@link resolveGroups}, for one name. */
export async function resolveGroup(
  broker: Broker,
  name: string,
): Promise<{ group: string; topics: string[] }> {
  const [found] = await resolveGroups(broker, [name])
  const [group, topics] = found ?? ['', []]
  return { group, topics }
}

async function committedTopics(admin: Admin, group: string): Promise<string[]> {
  return [...new Set((await admin.readCommitted(group)).map((o) => o.topic))]
}

function unknownGroup(name: string, own: readonly string[]): OperatorFault {
  return new OperatorFault(`There is no group "${name}"`, `The stream's groups: ${own.join(', ')}.`, {
    code: 'usage',
  })
}

/** The physical name of a topic or group that the operator wrote with or without `KAFKA_PREFIX`, or null if unknown. */
export function toPhysical(name: string, known: readonly string[], prefix: string): string | null {
  return [name, prefix + name].find((n) => known.includes(n)) ?? null
}
