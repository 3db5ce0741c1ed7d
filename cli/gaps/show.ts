import { type Command, Help } from 'commander'
import { openCodec } from '../../lib/codec.ts'
import type { Admin } from '../../lib/kafka/admin.ts'
import { exitCodes } from '../../lib/lifecycle.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { OperationalEvent } from '../../lib/topology.ts'
import { toPlural, toSpan, toUtc } from '../../lib/words.ts'
import { readEvents } from '../../operations/events/read.ts'
import { OperatorFault } from '../../operations/fault.ts'
import { longestSilence, toCauses, toEpisodes } from '../../operations/gaps/cause.ts'
import type { ClosingPage, GapRow } from '../../operations/gaps/gap-store.ts'
import { isUser, readClosingPages, readGaps } from '../../operations/gaps/gap-store.ts'
import type { Broker } from '../../operations/operator.ts'
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

/** Gaps shown, the newest ones. */
const shownMax = 20

interface ShownGap extends GapRow {
  why: string[]
  closedBy: ClosingPage[]
}

async function show(context: CliContext, _options: object, user = ''): Promise<number> {
  const { out } = context
  const sql = await context.operator.postgres()
  const gaps = await readGaps(sql, { user, open: false, limit: shownMax })
  if (gaps.length === 0 && !(await isUser(sql, user))) {
    throw new OperatorFault(`There is no user "${toPrintable(user)}"`, 'songswap users list shows them all.')
  }
  const shown = gaps.length > 0 ? await explainGaps(context, sql, gaps) : []
  if (out.json) out.printJson(shown)
  else if (shown.length === 0) out.say(`User ${toPrintable(user)} has no gaps.`)
  else out.print(shown.map((gap) => toGapBlock(gap, out.width).join('\n')).join('\n\n'))
  return exitCodes.stopped
}

async function explainGaps(context: CliContext, sql: Sql, gaps: readonly GapRow[]): Promise<ShownGap[]> {
  const broker = await context.operator.broker()
  const since = new Date(Math.min(...gaps.map((g) => g.after.getTime())))
  const episodes = toEpisodes(await collectEvents(context, broker, since))
  const shown: ShownGap[] = []
  for (const gap of gaps) {
    const [from, to] = [gap.after.getTime(), gap.detectedAt.getTime()]
    const silence = await readSilence(broker, { from, to })
    shown.push({
      ...gap,
      why: toCauses({ userId: gap.userId, from, to, episodes, silence }),
      closedBy: gap.closedAt ? await readClosingPages(sql, gap) : [],
    })
  }
  return shown
}

/** A pause may have begun before the gap did. */
const dayMs = 86_400_000
const lookBackMs = dayMs

async function collectEvents(context: CliContext, broker: Broker, since: Date): Promise<OperationalEvent[]> {
  const events: OperationalEvent[] = []
  await readEvents({
    broker,
    codec: openCodec(broker.client.config),
    since: new Date(since.getTime() - lookBackMs),
    follow: false,
    signal: context.interruption(),
    onEvent: (event) => {
      if (event) events.push(event)
    },
    positions: new Map(),
  })
  return events
}

const points = 24

/** Looks at the growth of the topic at moments spread over the time; a stretch is told to that precision. */
async function readSilence({ admin, topology }: Broker, gap: { from: number; to: number }) {
  const { name, retentionDays } = topology.recentlyPlayed
  // What the topic has forgotten would look like silence.
  const { to } = gap
  const from = Math.max(gap.from, Date.now() - (retentionDays ?? 0) * dayMs)
  if (to <= from || (await admin.readEnds(name)) === null) return null
  const at = Array.from({ length: points + 1 }, (_, i) => Math.round(from + ((to - from) * i) / points))
  const records = await Promise.all(at.map((ms) => countBefore(admin, name, ms)))
  return longestSilence(at.map((ms, i) => ({ at: ms, records: records[i] ?? 0 })))
}

async function countBefore(admin: Admin, topic: string, ms: number): Promise<number> {
  const offsets = await admin.readOffsetsAt(topic, ms)
  return [...offsets.values()].reduce((sum, offset) => sum + offset, 0)
}

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
