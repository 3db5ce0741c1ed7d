import type { Topology } from '../topology.ts'

/**
 * How long a record may wait in each of the stream's own groups, in seconds, before something is wrong. Prometheus's
 * rules repeat these values, and a test keeps them equal.
 *
 * | group | why |
 * |---|---|
 * | loaders | every batch is committed; a restart of Postgres may take some minutes |
 * | archiver | objects fill for five minutes, and a put is tried again |
 * | alerter | digests collect for five minutes, and Discord limits their rate |
 * | enricher | lookups wait for what polling leaves of a day's budget: up to thirteen hours |
 */
export const patienceSeconds = {
  archiver: 900,
  loaderHistory: 300,
  loaderMetadata: 300,
  enricher: 50_400,
  alerter: 900,
} as const satisfies Record<keyof Topology['groups'], number>

/** For a group that is not the stream's own. */
const promptSeconds = 300

/** How long a record may wait in a healthy group, in milliseconds, by the group's name. */
export function patienceOf({ groups }: Topology): (group: string) => number {
  const names = Object.keys(patienceSeconds) as (keyof typeof patienceSeconds)[]
  const byGroup = new Map<string, number>(names.map((name) => [groups[name], patienceSeconds[name]]))
  return (group) => (byGroup.get(group) ?? promptSeconds) * 1000
}
