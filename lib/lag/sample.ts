import type { Admin, PartitionLag } from '../kafka/admin.ts'
import type { GroupMember } from '../kafka/group-admin.ts'

export interface PartitionPosition extends PartitionLag {
  /** Offset that the group reads next: committed, or the first one there is. */
  position: number
  /** Records that retention removed before the group read them. */
  forgotten: number
}

/** A group, and where it stands in each partition of its topics, at one moment. */
export interface GroupPosition {
  group: string
  state: string
  members: GroupMember[]
  partitions: PartitionPosition[]
}

/** One sample of a group: a few requests, whatever the size of the topics. */
export async function readPosition(
  admin: Admin,
  group: string,
  topics: readonly string[],
): Promise<GroupPosition> {
  const [description, { partitions }] = await Promise.all([
    admin.describeGroup(group),
    admin.readGroupLag(group, [...topics]),
  ])
  return { ...description, partitions: partitions.map(toPosition) }
}

/** Where the group reads next, given what it committed and what the topic still has. */
export function toPosition(partition: PartitionLag): PartitionPosition {
  const { committed, start } = partition
  return {
    ...partition,
    position: Math.max(committed ?? start, start),
    forgotten: committed === null ? 0 : Math.max(0, start - committed),
  }
}

/** Names the position of a partition; a new one once the group has moved. */
export function toPlace({ topic, partition, position }: PartitionPosition): string {
  return `${topic}/${partition}@${position}`
}
