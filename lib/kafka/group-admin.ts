import kafkajs from 'kafkajs'
import { RetriableError } from '../errors.ts'

/** A member of a consumer group. */
export interface GroupMember {
  clientId: string
  host: string
  assigned: { topic: string; partitions: number[] }[]
}

export interface GroupDescription {
  group: string
  /** Kafka's name: Stable, Empty, Dead (also of a group that does not exist), PreparingRebalance, … */
  state: string
  members: GroupMember[]
}

export interface PartitionOffset {
  topic: string
  partition: number
  offset: number
}

/** What an admin connection can do with consumer groups and their offsets. */
export interface GroupAdmin {
  /** Names of all groups of the cluster, sorted. */
  listGroups(): Promise<string[]>
  describeGroup(group: string): Promise<GroupDescription>
  /** Committed offsets of a group in all topics, sorted. */
  readCommitted(group: string): Promise<PartitionOffset[]>
  /**
   * Commits offsets for a group without members.
   * @throws GroupActiveError when the group has members, or gets one meanwhile
   */
  setOffsets(group: string, offsets: readonly PartitionOffset[]): Promise<void>
}

/** A group's offsets cannot be moved while it has members. */
export class GroupActiveError extends Error {
  constructor(group: string, state: string) {
    super(`${group} is in use (${state})`)
    this.name = 'GroupActiveError'
  }
}

const idleStates = new Set(['Empty', 'Dead'])

/** The group part of an admin connection. */
export function groupAdmin(admin: kafkajs.Admin): GroupAdmin {
  async function describeGroup(group: string): Promise<GroupDescription> {
    const { groups } = await admin.describeGroups([group])
    const members = groups[0]?.members ?? []
    return { group, state: groups[0]?.state ?? 'Unknown', members: members.map(toMember) }
  }

  async function readCommitted(group: string): Promise<PartitionOffset[]> {
    const topics = await admin.fetchOffsets({ groupId: group })
    return topics
      .flatMap(({ topic, partitions }) =>
        partitions.map((p) => ({ topic, partition: p.partition, offset: Number(p.offset) })),
      )
      .filter((o) => o.offset >= 0)
      .sort(byPlace)
  }

  return {
    async listGroups() {
      const { groups } = await admin.listGroups()
      return groups.map((g) => g.groupId).sort()
    },

    describeGroup,
    readCommitted,

    async setOffsets(group, offsets) {
      const { state } = await describeGroup(group)
      if (!idleStates.has(state)) throw new GroupActiveError(group, state)
      for (const [topic, own] of Map.groupBy(offsets, (o) => o.topic)) {
        // kafkajs joins the group for this, as its only member.
        await admin.setOffsets({
          groupId: group,
          topic,
          partitions: own.map((o) => ({ partition: o.partition, offset: String(o.offset) })),
        })
      }
      // A consumer that joined at the same moment may have got some of the partitions.
      const committed = new Map((await readCommitted(group)).map((o) => [toPlace(o), o.offset]))
      const missed = offsets.filter((o) => committed.get(toPlace(o)) !== o.offset)
      if (missed.length === 0) return
      const now = await describeGroup(group)
      if (now.members.length > 0) throw new GroupActiveError(group, now.state)
      throw new RetriableError(`Kafka did not take the offsets of ${missed.map(toPlace).join(', ')}`)
    },
  }
}

function toMember(member: kafkajs.MemberDescription): GroupMember {
  const { memberAssignment, clientId, clientHost } = member
  // A member that is just joining has no assignment yet.
  const decoded = memberAssignment.length > 0 ? decodeAssignment(memberAssignment) : null
  const assigned = Object.entries(decoded?.assignment ?? {}).map(([topic, partitions]) => ({
    topic,
    partitions: [...partitions].sort((a, b) => a - b),
  }))
  return { clientId, host: clientHost.replace(/^\//, ''), assigned }
}

function decodeAssignment(bytes: Buffer): kafkajs.MemberAssignment | null {
  try {
    return kafkajs.AssignerProtocol.MemberAssignment.decode(bytes)
  } catch {
    return null
  }
}

function byPlace(a: PartitionOffset, b: PartitionOffset): number {
  return a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition
}

function toPlace({ topic, partition }: PartitionOffset): string {
  return `${topic}/${partition}`
}
