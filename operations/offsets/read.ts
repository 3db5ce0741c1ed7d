import { resolveGroup, resolveGroups } from '../groups.ts'
import type { Operator } from '../operator.ts'
import type { CommittedOffsets, OffsetsReport } from './report.ts'

/**
 * The offsets of groups in every partition of their topics.
 *
 * @param names empty for all of the stream's own groups
 */
export async function showOffsets(operator: Operator, names: readonly string[]): Promise<OffsetsReport> {
  const broker = await operator.broker()
  const groups = await resolveGroups(broker, names)
  return Promise.all([...groups].map(([group, topics]) => broker.admin.readGroupLag(group, topics)))
}

/** A group's committed offsets, in all topics that it ever committed to. */
export async function exportOffsets(operator: Operator, name: string): Promise<CommittedOffsets> {
  const broker = await operator.broker()
  const { group } = await resolveGroup(broker, name)
  return { group, offsets: await broker.admin.readCommitted(group) }
}
