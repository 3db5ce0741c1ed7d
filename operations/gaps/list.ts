import type { Operator } from '../operator.ts'
import { readGaps } from './gap-store.ts'
import type { GapsReport } from './report.ts'

/**
 * Gaps, the newest first.
 *
 * @param choice.user an id or a Spotify id, or null for all users
 * @param choice.all closed gaps too
 */
export async function listGaps(
  operator: Operator,
  { user, all, limit }: { user: string | null; all: boolean; limit: number },
): Promise<{ gaps: GapsReport; hasMore: boolean }> {
  const gaps = await readGaps(await operator.postgres(), { user, open: !all, limit: limit + 1 })
  return { gaps: gaps.slice(0, limit), hasMore: gaps.length > limit }
}
