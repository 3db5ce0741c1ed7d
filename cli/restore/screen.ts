import type { MissingOffsets } from '../../lib/archive/chain.ts'
import { incarnationOf } from '../../lib/archive/incarnations.ts'
import { toCount, toPlural } from '../../lib/words.ts'
import type { Broker } from '../../operations/operator.ts'
import type { OpenRun } from '../../operations/rerun/journal.ts'
import { toOpenRunLines } from '../../operations/rerun/journal.ts'
import { toMissingLines } from '../../operations/rerun/report.ts'
import type { ArchiveObject } from '../../operations/restore/objects.ts'
import type { RestoreChoice } from '../../operations/restore/plan.ts'
import { resolveTopic } from '../../operations/restore/plan.ts'
import type { CliContext } from '../command.ts'
import type { RestoreOptions } from '../restore.ts'
import type { Column } from '../terminal/table.ts'
import { toTable } from '../terminal/table.ts'

interface Shown {
  broker: Broker
  choice: RestoreChoice
  objects: readonly ArchiveObject[]
  /** What no listed object holds. */
  missing: readonly MissingOffsets[]
  unfinished: OpenRun[]
  options: RestoreOptions
}

/** One topic of a restore, as it would be read. */
interface TopicSum {
  topic: string
  objects: number
  /** Offsets that the objects cover: as many records, but for those of erased users. */
  records: number
  /** Dates of the first records of the first and the last object. */
  firstDate: string | null
  lastDate: string | null
  /** Records of these objects whose offsets the topic still has. */
  inTopic: number
}

const dayMs = 86_400_000

/** Shows what a restore would do. */
export async function showRestore({ out }: CliContext, shown: Shown): Promise<void> {
  const { objects, choice, options, unfinished, missing } = shown
  const sums = await Promise.all(choice.topics.map((topic) => sumTopic(shown, topic)))
  if (out.json) {
    out.printJson({
      executed: false,
      choice,
      topics: sums,
      objects: objects.map((o) => o.path),
      missing,
      unfinished,
    })
    return
  }
  const rows = sums.map((s) => {
    return [s.topic, toCount(s.objects), toCount(s.records), s.firstDate ?? '-', s.lastDate ?? '-']
  })
  out.print(toTable(columns, rows, out.width).join('\n'))
  const records = sums.reduce((n, s) => n + s.records, 0)
  for (const line of toOpenRunLines(unfinished, new Date())) out.say(line)
  for (const line of toMissingLines(missing)) out.say(line)
  if (objects.length === 0) return out.say('There is nothing to restore.')
  for (const line of sums.flatMap((s) => toWarnings(s, shown))) out.say(line)
  const whose = choice.user === null ? '' : `, those of user ${choice.user} among them`
  const within = choice.from || choice.to ? ', of which those within the range count' : ''
  const where = options.toTopic ? 'Put them back into the topic' : 'Load them'
  out.say(
    `Nothing was changed. ${toPlural(objects.length, 'object')} with ${toPlural(records, 'record')}${within}${whose}. ${where} with: --execute`,
  )
}

const columns: readonly Column[] = [
  { title: 'TOPIC', shrinks: true },
  { title: 'OBJECTS', align: 'right' },
  { title: 'RECORDS', align: 'right' },
  { title: 'FIRST' },
  { title: 'LAST' },
]

async function sumTopic({ broker, objects }: Shown, topic: string): Promise<TopicSum> {
  const own = objects.filter((o) => o.topic === topic)
  const starts = new Map((await broker.admin.readEnds(topic))?.map((e) => [e.partition, e]))
  const dates = own.map((o) => o.date).sort()
  const sum = (of: (o: ArchiveObject) => number) => own.reduce((n, o) => n + of(o), 0)
  return {
    topic,
    objects: own.length,
    records: sum((o) => o.lastOffset + 1 - o.firstOffset),
    firstDate: dates[0] ?? null,
    lastDate: dates.at(-1) ?? null,
    inTopic: sum((object) => {
      const { partition, firstOffset, lastOffset } = object
      const ends = starts.get(partition)
      // What an earlier log held is there no more, at whatever offsets.
      const isPresent = !own.some(
        (o) => o.partition === partition && incarnationOf(o) > incarnationOf(object),
      )
      if (!ends || !isPresent) return 0
      const first = Math.max(firstOffset, ends.start)
      return Math.max(0, Math.min(lastOffset + 1, ends.end) - first)
    }),
  }
}

function toWarnings(sum: TopicSum, { broker, options }: Shown): string[] {
  const lines: string[] = []
  if (!options.toTopic) return lines
  const { retentionDays } = resolveTopic(sum.topic, broker.topology)
  if (sum.inTopic > 0) {
    lines.push(`${toCount(sum.inTopic)} of these records are in the topic already, and would come twice.`)
  }
  const oldest = sum.firstDate ? Date.parse(sum.firstDate) : Number.POSITIVE_INFINITY
  if (retentionDays !== null && oldest < Date.now() - retentionDays * dayMs) {
    lines.push(
      `Some are older than the ${retentionDays} days that the topic keeps: it forgets them within minutes. Raise its retention.ms first, and do not run npm run migrate meanwhile: it sets it back.`,
    )
  }
  return lines
}
