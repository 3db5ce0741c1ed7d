import { toPlural, toUtc } from '../../lib/words.ts'
import type { ReplayPlan } from '../../operations/rerun/replay.ts'
import type { Output } from '../terminal/output.ts'
import { toTable } from '../terminal/table.ts'
import { toOpenRunLines, toUnclaimedLines } from './plan-lines.ts'

/** Prints what a replay would do. */
export function showPlan(out: Output, plan: ReplayPlan): void {
  const { group, records, stretches, unfinished, unclaimed, user } = plan
  const rows = stretches.map((s) => {
    const cells = [s.partition, s.next, s.to, s.to - s.next].map(String)
    return [s.topic, ...cells, ...[s.firstAt, s.lastAt].map((t) => (t ? toUtc(t).slice(0, 16) : '-'))]
  })
  if (rows.length > 0) out.print(toTable(columns, rows, out.width).join('\n'))
  for (const line of toUnclaimedLines(unclaimed, out.width)) out.say(line)
  for (const line of toOpenRunLines(unfinished, new Date())) out.say(line)
  if (records === 0) {
    out.say('There is nothing to replay.')
    return
  }
  const whose = user === null ? '' : `, of which those of user ${user} count,`
  out.say(`Nothing was changed. Replay ${group} over ${toPlural(records, 'record')}${whose} with: --execute`)
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
