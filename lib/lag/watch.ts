import type { Admin } from '../kafka/admin.ts'
import type { ClientOptions } from '../kafka/client.ts'
import type { GroupMember } from '../kafka/group-admin.ts'
import type { Topic, Topology } from '../topology.ts'
import { patienceOf } from './patience.ts'
import type { Ages, GroupPosition, PartitionPosition } from './sample.ts'
import { readAges, readPosition, toPlace } from './sample.ts'
import type { LagSample, Verdict } from './verdict.ts'
import { addSample, evaluatePartition, worst } from './verdict.ts'

export interface PartitionStanding extends PartitionPosition {
  /** How long the oldest waiting record has waited: 0 if none waits, or null if it is not known. */
  lagMs: number | null
  verdict: Verdict
}

/** The lag and the verdict of a group over all of its partitions. */
export interface GroupStanding {
  group: string
  state: string
  members: GroupMember[]
  lag: number
  /** The longest of its partitions, or null if none is known. */
  lagMs: number | null
  verdict: Verdict
  partitions: PartitionStanding[]
}

export interface LagWatchOptions {
  admin: Admin
  /** For a reader of dead letters, which takes seconds, or null if their ages may stay unknown. */
  client: ClientOptions | null
  topology: Topology
  /** Names of the topics that each group reads. */
  groups: ReadonlyMap<string, readonly string[]>
}

/** Samples groups repeatedly, and judges each by its last samples. */
export class LagWatch {
  readonly #options: LagWatchOptions
  readonly #patienceMs: (group: string) => number
  readonly #windows = new Map<string, LagSample[]>()
  readonly #ages = new Map<string, Ages>()

  constructor(options: LagWatchOptions) {
    this.#options = options
    this.#patienceMs = patienceOf(options.topology)
  }

  /**
   * Takes one sample of every group.
   *
   * @param ages whether to find the ages of the oldest waiting records, where a group has moved
   * @throws RetriableError when Kafka does not answer; what was sampled before is kept
   */
  async sample({ ages }: { ages: boolean }): Promise<GroupStanding[]> {
    return Promise.all(
      [...this.#options.groups].map(([group, topics]) => this.#sampleGroup(group, topics, ages)),
    )
  }

  async #sampleGroup(group: string, topics: readonly string[], withAges: boolean): Promise<GroupStanding> {
    const { admin, client, topology } = this.#options
    const sampled = await readPosition(admin, group, topics)
    const at = Date.now()
    const source = { admin, client, deadLetters: topology.deadLetters.name }
    if (withAges) this.#ages.set(group, await readAges(source, sampled, this.#ages.get(group)))
    const partitions = sampled.partitions.map((p) => this.#judge(sampled, p, at))
    return { ...sampled, partitions, ...toTotals(partitions) }
  }

  #judge({ group, members }: GroupPosition, partition: PartitionPosition, at: number): PartitionStanding {
    const key = `${group} ${partition.topic}/${partition.partition}`
    const { position, lag } = partition
    const window = addSample(this.#windows.get(key) ?? [], { at, position, lag })
    this.#windows.set(key, window)
    const oldestAt = this.#ages.get(group)?.get(toPlace(partition)) ?? null
    const patienceMs = this.#patienceMs(group)
    return {
      ...partition,
      lagMs: lag === 0 ? 0 : oldestAt === null ? null : Math.max(0, at - oldestAt),
      verdict: evaluatePartition({ window, members: members.length, oldestAt, patienceMs }),
    }
  }
}

function toTotals(
  partitions: readonly PartitionStanding[],
): Pick<GroupStanding, 'lag' | 'lagMs' | 'verdict'> {
  const known = partitions.flatMap((p) => (p.lagMs === null ? [] : [p.lagMs]))
  const unknown = partitions.some((p) => p.lag > 0) && Math.max(0, ...known) === 0
  return {
    lag: partitions.reduce((sum, p) => sum + p.lag, 0),
    lagMs: unknown ? null : Math.max(0, ...known),
    verdict: worst(partitions.map((p) => p.verdict)),
  }
}

/** Topic names by group, from the topology's {@link Topic}s. */
export function namesOf(groups: ReadonlyMap<string, readonly Topic[]>): Map<string, string[]> {
  return new Map([...groups].map(([group, topics]) => [group, topics.map((t) => t.name)]))
}
