import { z } from 'zod'
import type { UnclaimedPlay, Verdicts } from '../../services/loader/claim-store.ts'
import { findUnclaimed, playKey } from '../../services/loader/claim-store.ts'
import type { PlayRow } from '../../services/loader/transform.ts'
import { OperatorFault } from '../fault.ts'
import type { Operator } from '../operator.ts'
import type { Stretch } from './journal.ts'
import type { PagePass } from './page-pass.ts'
import { passOver } from './page-pass.ts'
import { countPlays, holdsPlays } from './plays-of-range.ts'
import type { RerunOptions, Source, Wanted } from './run.ts'

/** Without `allowedPercent`, this percentage of the plays of the range may be removed. */
const allowedByDefault = 1
/** The plays of one page may always be removed: repairing a fault of a single page needs no confirmation. */
const alwaysAllowed = 50
const shown = 5

export const removals = z.object({
  plays: z.int().describe('plays that would be removed, as far as the range was read'),
  examples: z
    .array(
      z.object({
        userId: z.string(),
        playedAt: z.date(),
        trackId: z.string(),
        page: z.string().describe('partition/offset'),
      }),
    )
    .describe('the first five'),
  finished: z.boolean().describe('false if the reading was stopped'),
  kept: z.int().describe('plays that their own page does not claim, and another page does'),
  ofPlays: z
    .int()
    .nullable()
    .describe('plays of the range; null if so few are removed that they are not counted'),
  needsPercent: z
    .int()
    .nullable()
    .describe('share that has to be allowed before the run begins; null if so many may be removed'),
})

export type Removals = z.infer<typeof removals>

/** What to read to judge plays. */
export interface Judged {
  /** The stretches of pages to run again; not modified. */
  stretches: readonly Stretch[]
  source: Source
  wanted: Wanted
  user: number | null
  rate: number | null
  /** Null for the default. */
  allowedPercent: number | null
  /** Number of plays that the run removed before it was resumed. */
  removedBefore: number
  /** All pages that may claim plays from this time (Unix ms) on. */
  otherPages: (since: number) => AsyncIterable<{ source: Source; stretches: Stretch[] }>
}

/**
 * Finds the plays that a rerun would remove: as the parser reads the pages now, neither their own page nor another one
 * claims them. It reads the range once, and the users' other pages only if needed. It changes nothing.
 */
export async function judgePlays(
  operator: Operator,
  judged: Judged,
  options: RerunOptions,
): Promise<{ removals: Removals; verdicts: Verdicts }> {
  const sql = await operator.postgres()
  const unclaimed = new Map<string, UnclaimedPlay>()
  if (await holdsPlays(sql)) {
    const { stretches, source, wanted } = judged
    const pass: PagePass = { stretches, source, wanted, rate: judged.rate }
    await passOver(operator, pass, {
      ...options,
      async onPages({ pages }) {
        const { plays } = await findUnclaimed(sql, pages)
        for (const play of plays) unclaimed.set(playKey(play), play)
      },
    })
  }
  const claims = await findClaims(operator, { unclaimed, judged, options })
  const verdicts = new Map([...unclaimed.keys()].map((key) => [key, claims.get(key) ?? null]))
  const removed = [...unclaimed].flatMap(([key, play]) => (claims.has(key) ? [] : play))
  const all = removed.length + judged.removedBefore
  const ofPlays = all > alwaysAllowed ? (await countPlays(sql, judged)) + judged.removedBefore : null
  const percent = ofPlays === null ? 0 : (100 * all) / ofPlays
  const found: Removals = {
    plays: removed.length,
    examples: removed.slice(0, shown),
    finished: !options.signal.aborted,
    kept: claims.size,
    ofPlays,
    needsPercent:
      percent > (judged.allowedPercent ?? allowedByDefault) ? Math.min(100, Math.ceil(percent)) : null,
  }
  return { removals: found, verdicts }
}

/** By play key, the row of the first other page that claims the play. */
async function findClaims(
  operator: Operator,
  of: { unclaimed: ReadonlyMap<string, UnclaimedPlay>; judged: Judged; options: RerunOptions },
): Promise<Map<string, PlayRow>> {
  const { unclaimed, judged, options } = of
  const claims = new Map<string, PlayRow>()
  if (unclaimed.size === 0) return claims
  const users = new Set([...unclaimed.values()].map(({ userId }) => userId))
  const since = [...unclaimed.values()].reduce((least, p) => Math.min(least, p.playedAt.getTime()), Infinity)
  for await (const { source, stretches } of judged.otherPages(since)) {
    const wanted: Wanted = ({ key }) => users.has(key?.toString('latin1') ?? '')
    await passOver(
      operator,
      { source, stretches, wanted, rate: judged.rate },
      {
        ...options,
        async onPages({ plays }) {
          for (const play of plays) {
            const key = playKey(play)
            if (unclaimed.has(key) && !claims.has(key)) claims.set(key, play)
          }
        },
      },
    )
  }
  return claims
}

/** @throws OperatorFault when a run would remove more plays than allowed */
export function refuseMany({ plays, ofPlays, needsPercent }: Removals): void {
  if (needsPercent === null) return
  throw new OperatorFault(
    `Stopped before anything was changed: ${plays} of the ${ofPlays} plays of the range would be removed`,
    `No page claims them by what the parser makes of it now. If that is right: --allow-removal ${needsPercent}`,
  )
}
