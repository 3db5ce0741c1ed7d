import type { CliContext } from '../../cli/command.ts'
import { toPrintable, toTable } from '../../cli/terminal/table.ts'
import type { GroupMember } from '../../lib/kafka/group-admin.ts'
import { GroupActiveError } from '../../lib/kafka/group-admin.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toPlural } from '../../lib/words.ts'
import { OperatorFault } from '../fault.ts'
import type { Broker } from '../operator.ts'
import type { Move, PlanFault, Target } from './plan.ts'
import { planMoves, toPlace } from './plan.ts'
import type { TopicChoice } from './words.ts'
import { toCsv } from './words.ts'

export interface MoveRequest {
  group: string
  /** Topics that the group reads. */
  topics: readonly string[]
  /** Empty: all of `topics`. */
  choices: readonly TopicChoice[]
  target: Target
  execute: boolean
  /** Print the plan as CSV. */
  csv: boolean
}

/**
 * Plans a move, shows it, and with `execute` commits it.
 * @throws OperatorFault when the group has members, or the plan cannot be made
 */
export async function moveGroup(context: CliContext, broker: Broker, request: MoveRequest): Promise<number> {
  const { out } = context
  const { group, target, execute } = request
  const { admin } = broker
  const { state, members } = await admin.describeGroup(group)
  if (members.length > 0) throw inUse(group, state, members)
  const partitions = await readPartitions(broker, request)
  const plan = planMoves(partitions, target, await readAtTime(broker, partitions, target))
  if (plan.type !== 'plan') throw unplannable(plan)

  const { moves } = plan
  if (execute && moves.length > 0) {
    await admin.setOffsets(group, moves.map(toOffset)).catch(async (error: unknown) => {
      if (!(error instanceof GroupActiveError)) throw error
      const now = await admin.describeGroup(group)
      throw inUse(group, now.state, now.members)
    })
  }
  if (out.json) out.printJson({ group, executed: execute, moves })
  else if (request.csv) context.terminal.stdout.write(toCsv(moves.map(toOffset)))
  else out.print(toMoveLines(moves, out.width).join('\n'))
  if (!out.json) out.say(toEnding(moves, request))
  return exitCodes.stopped
}

async function readPartitions({ admin, client }: Broker, { group, topics, choices }: MoveRequest) {
  const named = choices.map(({ topic, partitions }) => ({
    topic: topics.find((t) => t === topic || t === client.config.prefix + topic) ?? topic,
    partitions,
  }))
  const wanted = named.length > 0 ? [...new Set(named.map((c) => c.topic))] : topics
  const { partitions } = await admin.readGroupLag(group, [...wanted])
  const missing = wanted.filter((t) => !partitions.some((p) => p.topic === t))
  if (missing.length > 0) {
    throw new OperatorFault(
      `There is no topic ${missing.map(toPrintable).join(', ')}`,
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

function toOffset({ topic, partition, to }: Move) {
  return { topic, partition, offset: to }
}

function toMoveLines(moves: readonly Move[], width: number): string[] {
  return toTable(
    [
      { title: 'TOPIC', shrinks: true },
      { title: 'PARTITION', align: 'right' },
      { title: 'COMMITTED', align: 'right' },
      { title: 'NEW', align: 'right' },
      { title: 'RECORDS', align: 'right' },
      { title: '' },
    ],
    moves.map((m) => [
      m.topic,
      String(m.partition),
      m.from === null ? '-' : String(m.from),
      String(m.to),
      m.from === null ? '-' : toSigned(m.to - m.from),
      m.clamped ? 'clamped' : '',
    ]),
    width,
  )
}

function toSigned(n: number): string {
  return n > 0 ? `+${n}` : String(n)
}

function toEnding(moves: readonly Move[], { group, execute }: MoveRequest): string {
  const what = toPlural(moves.length, 'partition')
  if (moves.length === 0) return `${group}: nothing to move.`
  if (execute) return `${group} is moved in ${what}.`
  return `Nothing was changed. Move ${group} in ${what} with: --execute`
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
    `${group} has ${toPlural(members.length, 'member')} (${state}): ${toPrintable(who)}`,
    `Offsets can be moved only while nobody consumes. Stop it: docker compose stop ${service}, or Ctrl-C where npm run service -- ${service} runs; after a kill the broker waits up to a minute. Then try again.`,
  )
}
