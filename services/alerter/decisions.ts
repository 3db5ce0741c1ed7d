import { messageOf } from '../../lib/errors.ts'
import { diedAt } from '../../lib/kafka/dead-letter.ts'
import type { RawRecord } from '../../lib/kafka/record.ts'
import type { Logger } from '../../lib/log.ts'
import type { Sql } from '../../lib/postgres.ts'
import { toArray } from '../../lib/postgres.ts'
import { late, within } from '../../lib/time-limit.ts'

/** Knows the dead letters that an operator has decided on: after a loss of the group's offsets all are read again. */
export interface Decisions {
  /**
   * The dead letters of a batch that have no decision. Never throws, and waits for seconds at most: if Postgres does
   * not answer, all count as open.
   */
  openOf<R extends RawRecord>(letters: readonly R[]): Promise<R[]>
}

const answerWithinMs = 3_000
/** How long Postgres is not asked after it has failed. */
const askAgainMs = 30_000
/** No operator decides within this time, so a batch of such dead letters costs no query. */
const freshMs = 60_000

/** @param sql null if there is no database: every dead letter is open */
export function openDecisions(sql: Sql | null, log: Logger): Decisions {
  let awayUntil = 0

  async function readDecided(letters: readonly RawRecord[]): Promise<Set<number>> {
    const { rows } = await (sql as Sql).query<{ place: number }>(
      `select l.place from dead_letter_decisions d
       join unnest($1::int[], $2::bigint[], $3::float8[]) with ordinality as l (partition, "offset", died_at, place)
         on d.partition = l.partition and d."offset" = l."offset"
         and d.died_at = to_timestamp(l.died_at / 1000)`,
      [
        toArray(letters.map((l) => l.partition)),
        toArray(letters.map((l) => l.offset)),
        toArray(letters.map(deathOf)),
      ],
    )
    return new Set(rows.map((row) => row.place - 1))
  }

  return {
    async openOf(letters) {
      const now = Date.now()
      const mayBeDecided = letters.some((l) => deathOf(l) < now - freshMs)
      if (!sql || !mayBeDecided || performance.now() < awayUntil) return [...letters]
      try {
        const decided = await within(answerWithinMs, readDecided(letters))
        if (decided === late) throw new Error('Postgres does not answer')
        return letters.filter((_, i) => !decided.has(i))
      } catch (error) {
        awayUntil = performance.now() + askAgainMs
        log.warn({ reason: messageOf(error) }, 'decisions_not_read')
        return [...letters]
      }
    },
  }
}

function deathOf(letter: RawRecord): number {
  return diedAt(letter) ?? letter.timestamp
}
