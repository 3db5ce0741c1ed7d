import type { GroupMember } from '../../lib/kafka/group-admin.ts'
import { GroupActiveError } from '../../lib/kafka/group-admin.ts'
import { toPlural } from '../../lib/words.ts'
import { OperatorFault } from '../fault.ts'
import { resolveGroup } from '../groups.ts'
import type { Broker, Operator } from '../operator.ts'
import type { PlanFault, Target } from './plan.ts'
import { planMoves, toPlace } from './plan.ts'
import type { MoveReport } from './report.ts'

/** `topic` or `topic:0,1,2`. */
export interface TopicChoice {
  topic: string
  /** Null for all partitions. */
  partitions: number[] | null
}

export interface MoveChoice {
  group: string
  /** Empty for all topics that the group reads. */
  topics: readonly TopicChoice[]
  target: Target
}

/**
 * Plans a move of a group's offsets, and with `execute` commits it.
 *
 * @throws OperatorFault when the group has members, or the plan cannot be made
 */
export async function moveOffsets(
  operator: Operator,
  choice: MoveChoice,
  { execute }: { execute: boolean },
): Promise<MoveReport> {
  const broker = await operator.broker()
  const { admin } = broker
  const read = await resolveGroup(broker, choice.group)
  const { group } = read
  const { state, members } = await admin.describeGroup(group)
  if (members.length > 0) throw inUse(group, state, members)
  const partitions = await readPartitions(broker, read, choice.topics)
  const plan = planMoves(partitions, choice.target, await readAtTime(broker, partitions, choice.target))
  if (plan.type !== 'plan') throw unplannable(plan)
  const { moves } = plan
  if (execute && moves.length > 0) {
    const offsets = moves.map(({ topic, partition, to }) => ({ topic, partition, offset: to }))
    await admin.setOffsets(group, offsets).catch(async (error: unknown) => {
      if (!(error instanceof GroupActiveError)) throw error
      const now = await admin.describeGroup(group)
      throw inUse(group, now.state, now.members)
    })
  }
  return { group, executed: execute, moves }
}

async function readPartitions(
  { admin, client }: Broker,
  { group, topics }: { group: string; topics: readonly string[] },
  choices: readonly TopicChoice[],
) {
  const named = choices.map(({ topic, partitions }) => ({
    topic: topics.find((t) => t === topic || t === client.config.prefix + topic) ?? topic,
    partitions,
  }))
  const wanted = named.length > 0 ? [...new Set(named.map((c) => c.topic))] : topics
  const { partitions } = await admin.readGroupLag(group, [...wanted])
  const missing = wanted.filter((t) => !partitions.some((p) => p.topic === t))
  if (missing.length > 0) {
    throw new OperatorFault(
      `There is no topic ${missing.join(', ')}`,
      `${group} reads ${topics.join(', ') || 'nothing yet'}.`,
      { code: 'usage' },
    )
  }
  const absent = named.flatMap(({ topic, partitions: some }) =>
    (some ?? [])
      .map((partition) => ({ topic, partition }))
      .filter((c) => !partitions.some((p) => toPlace(p) === toPlace(c))),
  )
  if (absent.length > 0) throw unplannable({ type: 'no_such_partition', places: absent.map(toPlace) })
  if (named.length === 0) return partitions
  return partitions.filter((p) =>
    named.some((c) => c.topic === p.topic && (c.partitions?.includes(p.partition) ?? true)),
  )
}

async function readAtTime(
  { admin }: Broker,
  partitions: readonly { topic: string }[],
  target: Target,
): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  if (target.type !== 'datetime') return found
  for (const topic of new Set(partitions.map((p) => p.topic))) {
    for (const [partition, offset] of await admin.readOffsetsAt(topic, target.at)) {
      found.set(toPlace({ topic, partition }), offset)
    }
  }
  return found
}

function unplannable(fault: PlanFault): OperatorFault {
  const places = fault.places.join(' ')
  return fault.type === 'never_committed'
    ? new OperatorFault(
        `The group never committed in ${places}: there is nothing to shift`,
        'Use --to-earliest, --to-latest or --to-offset.',
      )
    : new OperatorFault(`There is no partition ${places}`, 'songswap offsets show lists them.', {
        code: 'usage',
      })
}

function inUse(group: string, state: string, members: readonly GroupMember[]): OperatorFault {
  const who = [...new Set(members.map((m) => `${m.clientId} at ${m.host}`))].join(', ')
  const service = /(archiver|loader|enricher|alerter)(\.\w+)?$/.exec(group)?.[1] ?? 'its service'
  return new OperatorFault(
    `${group} has ${toPlural(members.length, 'member')} (${state}): ${who}`,
    `Offsets can be moved only while nobody consumes. Stop it: docker compose stop ${service}, or Ctrl-C where npm run service -- ${service} runs; after a kill the broker waits up to a minute. Then try again.`,
  )
}
