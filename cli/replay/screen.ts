import { readRange } from '../../lib/kafka/read-range.ts'
import { toPlural, toUtc } from '../../lib/words.ts'
import type { Broker } from '../../operations/operator.ts'
import type { UnclaimedPlays } from '../../operations/replay/unclaimed.ts'
import type { OpenRun, Plan, Run, Stretch } from '../../operations/rerun/journal.ts'
import { recordsLeft, toOpenRunLines } from '../../operations/rerun/journal.ts'
import { toUnclaimedText } from '../../services/loader/claim-store.ts'
import type { CliContext } from '../command.ts'
import type { Replayed } from '../replay.ts'
import { cut, toPrintable, toTable } from '../terminal/table.ts'

/** Time of the first and of the last record of a stretch (Unix ms), as far as they could be read. */
interface Times {
  first: number | null
  last: number | null
}

const readWithinMs = 15_000

/** Shows what a replay would do. */
export async function showPlan(
  { out }: CliContext,
  of: {
    broker: Broker
    replayed: Replayed
    run: Run
    unfinished: OpenRun[]
    unclaimed: UnclaimedPlays | null
  },
): Promise<void> {
  const { broker, run, replayed, unfinished, unclaimed } = of
  const times = await readTimes(broker, run.plan)
  const records = recordsLeft(run.plan)
  const { user } = run.plan.choice
  if (out.json) {
    const stretches = run.plan.stretches.map((s) => ({ ...s, ...toIso(times.get(s)) }))
    out.printJson({ executed: false, group: replayed.group, records, stretches, unfinished, unclaimed })
    return
  }
  const rows = run.plan.stretches.map((s) => {
    const at = times.get(s)
    const cells = [s.partition, s.next, s.to, s.to - s.next].map(String)
    return [
      s.topic,
      ...cells,
      ...[at?.first, at?.last].map((t) => (t == null ? '-' : toUtc(new Date(t)).slice(0, 16))),
    ]
  })
  if (rows.length > 0) out.print(toTable(columns, rows, out.width).join('\n'))
  if (unclaimed) for (const line of toUnclaimedLines(unclaimed)) out.say(cut(line, out.width))
  for (const line of toOpenRunLines(unfinished, new Date())) out.say(line)
  if (records === 0) out.say('There is nothing to replay.')
  else {
    const whose = typeof user === 'number' ? `, of which those of user ${user} count,` : ''
    out.say(
      `Nothing was changed. Replay ${replayed.group} over ${toPlural(records, 'record')}${whose} with: --execute`,
    )
  }
}

function toUnclaimedLines({ plays, examples, finished }: UnclaimedPlays): string[] {
  const soFar = finished ? '' : ' as far as the range was read'
  if (plays === 0) return finished ? [] : [`No play would be removed${soFar}.`]
  const lines = examples.map((play) => `  ${toPrintable(toUnclaimedText(play))}`)
  const more = plays > examples.length ? ['  …'] : []
  return [
    `${toPlural(plays, 'play')} that their page does not claim would be removed${soFar}:`,
    ...lines,
    ...more,
  ]
}

const columns = [
  { title: 'TOPIC', shrinks: true },
  { title: 'PART', align: 'right' },
  { title: 'FROM', align: 'right' },
  { title: 'TO', align: 'right' },
  { title: 'RECORDS', align: 'right' },
  { title: 'FIRST (UTC)' },
  { title: 'LAST' },
] as const

function toIso(at: Times | undefined): Record<'firstAt' | 'lastAt', string | null> {
  const [firstAt = null, lastAt = null] = [at?.first, at?.last].map((t) =>
    t == null ? null : new Date(t).toISOString(),
  )
  return { firstAt, lastAt }
}

/** One record at each end of each stretch; what does not come in time is left out. */
async function readTimes(broker: Broker, plan: Plan): Promise<Map<Stretch, Times>> {
  const times = new Map<Stretch, Times>(plan.stretches.map((s) => [s, { first: null, last: null }]))
  const signal = AbortSignal.timeout(readWithinMs)
  const reads = (['first', 'last'] as const).flatMap((end) =>
    [...Map.groupBy(plan.stretches, (s) => s.topic)].map(([topic, stretches]) =>
      readRange({
        ...broker.client,
        topic,
        group: `${broker.client.config.prefix}songswap-replay-${crypto.randomUUID()}`,
        ranges: stretches.map((s) => ({
          partition: s.partition,
          from: end === 'first' ? s.next : s.to - 1,
          to: s.to,
        })),
        limit: 1,
        signal,
        onRecords: async (records) => {
          for (const record of records) {
            const stretch = stretches.find((s) => s.partition === record.partition)
            const at = stretch && times.get(stretch)
            if (at) at[end] = record.timestamp
          }
        },
      }),
    ),
  )
  await Promise.all(reads)
  return times
}
