import type { Topology } from '../topology.ts'

/**
 * How long a record may wait in each of the stream's own groups, in seconds, before something is wrong. The rules of
 * Prometheus repeat these figures, and a test holds them equal.
 *
 * | group | why |
 * |---|---|
 * | loaders | every batch is committed; a restart of Postgres is waited out |
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

/** Of a group that is not the stream's own. */
const promptSeconds = 300

/** How long a record may wait in a healthy group, in milliseconds, by the group's name. */
export function patienceOf({ groups }: Topology): (group: string) => number {
  const names = Object.keys(patienceSeconds) as (keyof typeof patienceSeconds)[]
  const byGroup = new Map<string, number>(names.map((name) => [groups[name], patienceSeconds[name]]))
  return (group) => (byGroup.get(group) ?? promptSeconds) * 1000
}
