import type { Admin } from '../lib/kafka/admin.ts'
import { namesOf } from '../lib/lag/watch.ts'
import type { Topology } from '../lib/topology.ts'
import { groupTopics } from '../lib/topology.ts'
import { toPhysical } from './broker.ts'
import { CliFault } from './fault.ts'
import { toPrintable } from './table.ts'

/**
 * Groups by what the operator calls them, with the topics that each reads: the stream's own by the topology,
 * others (replays) by what they committed.
 *
 * @param wanted.names empty: all of the stream's own
 * @throws CliFault when there is no such group
 */
export async function resolveGroups(
  admin: Admin,
  topology: Topology,
  wanted: { names: readonly string[]; prefix: string },
): Promise<Map<string, string[]>> {
  const own = namesOf(groupTopics(topology))
  if (wanted.names.length === 0) return own
  const foreign = (await admin.listGroups()).filter((g) => !own.has(g))
  const resolved = new Map<string, string[]>()
  for (const name of wanted.names) {
    const group = pickGroup(name, { own: [...own.keys()], foreign, prefix: wanted.prefix })
    if (group === null) throw unknownGroup(name, [...own.keys()])
    resolved.set(group, own.get(group) ?? (await committedTopics(admin, group)))
  }
  return resolved
}

/**
 * The group that an operator means. The stream's own come first: where installations share a cluster, the plain
 * name may be the physical one of somebody else's group.
 */
export function pickGroup(
  name: string,
  of: { own: readonly string[]; foreign: readonly string[]; prefix: string },
): string | null {
  return toPhysical(name, of.own, of.prefix) ?? toPhysical(name, of.foreign, of.prefix)
}

/** The one group that the operator named. */
export async function resolveGroup(
  admin: Admin,
  topology: Topology,
  wanted: { name: string; prefix: string },
): Promise<{ group: string; topics: string[] }> {
  const [found] = await resolveGroups(admin, topology, { names: [wanted.name], prefix: wanted.prefix })
  const [group, topics] = found ?? ['', []]
  return { group, topics }
}

async function committedTopics(admin: Admin, group: string): Promise<string[]> {
  return [...new Set((await admin.readCommitted(group)).map((o) => o.topic))]
}

function unknownGroup(name: string, own: readonly string[]): CliFault {
  return new CliFault(`There is no group "${toPrintable(name)}"`, `The stream's groups: ${own.join(', ')}.`, {
    exitCode: 2,
  })
}
