import { toCount, toPlural } from '../../lib/words.ts'
import type { RestorePlan, TopicSum } from '../../operations/rerun/restore-report.ts'
import type { Output } from '../terminal/output.ts'
import type { Column } from '../terminal/table.ts'
import { toTable } from '../terminal/table.ts'
import { toMissingLines } from './done-screen.ts'
import { toOpenRunLines, toUnclaimedLines } from './plan-lines.ts'

const dayMs = 86_400_000

/**
 * Prints what a restore would do.
 *
 * @param retentionOf the retention of a topic if records go back into it, or null if they are loaded
 */
export function showRestore(out: Output, plan: RestorePlan, retentionOf: RetentionOf | null): void {
  const { topics, objects, choice, unfinished, missing, unclaimed } = plan
  const rows = topics.map((s) => {
    return [s.topic, toCount(s.objects), toCount(s.records), s.firstDate ?? '-', s.lastDate ?? '-']
  })
  out.print(toTable(columns, rows, out.width).join('\n'))
  const records = topics.reduce((n, s) => n + s.records, 0)
  for (const line of toOpenRunLines(unfinished, new Date())) out.say(line)
  for (const line of toMissingLines(missing)) out.say(line)
  if (objects.length === 0) {
    out.say('There is nothing to restore.')
    return
  }
  for (const line of toUnclaimedLines(unclaimed, out.width)) out.say(line)
  if (retentionOf) for (const line of topics.flatMap((s) => toWarnings(s, retentionOf))) out.say(line)
  const whose = choice.user === null ? '' : `, those of user ${choice.user} among them`
  const within = choice.from || choice.to ? ', of which those within the range count' : ''
  const where = retentionOf ? 'Put them back into the topic' : 'Load them'
  out.say(
    `Nothing was changed. ${toPlural(objects.length, 'object')} with ${toPlural(records, 'record')}${within}${whose}. ${where} with: --execute`,
  )
}

/** The number of days that a topic keeps records, or null if it keeps them for good. */
type RetentionOf = (topic: string) => number | null

const columns: readonly Column[] = [
  { title: 'TOPIC', shrinks: true },
  { title: 'OBJECTS', align: 'right' },
  { title: 'RECORDS', align: 'right' },
  { title: 'FIRST' },
  { title: 'LAST' },
]

function toWarnings(sum: TopicSum, retentionOf: RetentionOf): string[] {
  const lines: string[] = []
  const days = retentionOf(sum.topic)
  if (sum.inTopic > 0) {
    lines.push(`${toCount(sum.inTopic)} of these records are in the topic already, and would come twice.`)
  }
  const oldest = sum.firstDate ? Date.parse(sum.firstDate) : Number.POSITIVE_INFINITY
  if (days !== null && oldest < Date.now() - days * dayMs) {
    lines.push(
      `Some are older than the ${days} days that the topic keeps: it forgets them within minutes. Raise its retention.ms first, and do not run npm run migrate meanwhile: it sets it back.`,
    )
  }
  return lines
}
