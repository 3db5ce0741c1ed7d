import { type Command, Help } from 'commander'
import { exitCodes } from '../../lib/lifecycle.ts'
import { toPlural, toSpan, toUtc } from '../../lib/words.ts'
import { explainGaps } from '../../operations/gaps/explain.ts'
import type { GapsOfUserReport } from '../../operations/gaps/report.ts'
import type { CliContext, Run } from '../command.ts'
import { act, examples, notes } from '../command.ts'
import { toPrintable } from '../terminal/table.ts'

export function define(command: Command, run: Run): void {
  command.description(
    'Shows the gaps of a user, by id or Spotify id: from when to when, why plays were lost as far as events and topics tell, and by what a gap was closed.',
  )
  act(command, run, show)
  examples(command, ['songswap gaps show 7', 'songswap gaps show 7 --json'])
  notes(command, [
    'Why: told by ops.events and the growth of spotify.recently-played in that time; both forget after 30 days. An import of the listening history that Spotify sends on request can fill a gap.',
  ])
}

async function show(context: CliContext, _options: object, user = ''): Promise<number> {
  const { out } = context
  const gaps = await explainGaps(context.operator, user, { signal: context.interruption() })
  if (out.json) out.printJson(gaps)
  else if (gaps.length === 0) out.say(`User ${toPrintable(user)} has no gaps.`)
  else out.print(gaps.map((gap) => toGapBlock(gap, out.width).join('\n')).join('\n\n'))
  return exitCodes.stopped
}

type ShownGap = GapsOfUserReport[number]

const labelWidth = 9

function toGapBlock(gap: ShownGap, width: number): string[] {
  const { after, before, detectedAt } = gap
  const who = gap.name === null ? `user ${gap.userId}` : `user ${gap.userId} (${toPrintable(gap.name)})`
  const facts: [string, string][] = [
    ['gap', `of ${who}: ${toSpan(before.getTime() - after.getTime())} without a play`],
    ['after', toUtc(after)],
    ['before', toUtc(before)],
    ['found', toUtc(detectedAt)],
    ...gap.why.map((text): [string, string] => ['why', toPrintable(text)]),
    ['state', toState(gap)],
  ]
  return facts.flatMap(([label, text]) =>
    new Help()
      .boxWrap(text, width - labelWidth)
      .split('\n')
      .map((line, i) => `${(i === 0 ? label : '').padEnd(labelWidth)}${line}`),
  )
}

function toState({ closedAt, closedBy, plays }: ShownGap): string {
  if (!closedAt) return plays > 0 ? `open; ${toPlural(plays, 'play')} stored within it` : 'open'
  const when = `closed ${toUtc(closedAt)}`
  if (closedBy.length === 0) return `${when}; no page is known to have closed it`
  const pages = closedBy.map(
    (p) => `page ${p.partition}/${p.offset} (${p.source}, ${toPlural(p.plays, 'play')})`,
  )
  return `${when} by ${pages.join(', ')}`
}
