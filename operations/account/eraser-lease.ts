import { randomUUID } from 'node:crypto'
import { pause } from '../../lib/backoff.ts'
import type { Sql } from '../../lib/postgres.ts'
import { OperatorFault } from '../fault.ts'

const heldForSeconds = 20
const renewedEveryMs = 5_000
/** After so long without a renewal nothing more is written: the rest is for what is on its way to the store. */
const trustedForMs = 10_000
const askedEveryMs = 1_000

/** The right to write objects of the archive again, as long as it is renewed. */
export interface EraserLease {
  /** @throws OperatorFault when the lease may be lost: somebody else may write now */
  assertHeld(): void
  /** Gives it back; where the database is away it runs out. Never throws. */
  release(): Promise<void>
}

/**
 * Takes the lease. Waits for one that runs out because its holder is dead.
 *
 * @throws OperatorFault when somebody else is erasing, or when the waiting is aborted
 */
export async function takeEraserLease(sql: Sql, signal: AbortSignal): Promise<EraserLease> {
  const holder = randomUUID()
  let seen: number | null = null
  let renewedAt = performance.now()
  for (; !(await extend(sql, holder)); renewedAt = performance.now()) {
    const heldUntil = await readHeldUntil(sql)
    const isRenewed = seen !== null && heldUntil !== null && heldUntil > seen
    if (isRenewed || signal.aborted) {
      throw new OperatorFault('Somebody else is erasing a user right now', 'Try again when they are done.')
    }
    seen = heldUntil ?? seen
    await pause(askedEveryMs, signal)
  }

  const renew = async () => {
    const askedAt = performance.now()
    // Once it may have been lost it stays lost: somebody may have had it meanwhile.
    if (askedAt - renewedAt < trustedForMs && (await extend(sql, holder))) renewedAt = askedAt
  }
  // A database that is away: the next renewal may come in time.
  const timer = setInterval(() => void renew().catch(() => undefined), renewedEveryMs)
  return {
    assertHeld() {
      if (performance.now() - renewedAt < trustedForMs) return
      throw new OperatorFault(
        'The database was away for too long, and somebody else may be erasing by now',
        'Run the command again: it goes on where it was.',
      )
    },
    async release() {
      clearInterval(timer)
      await sql.query('delete from eraser_lease where holder = $1', [holder]).catch(() => undefined)
    },
  }
}

/** Takes the lease or prolongs it; false: somebody else has it. */
async function extend(sql: Sql, holder: string): Promise<boolean> {
  const { rowCount } = await sql.query(
    `insert into eraser_lease (holder, held_until) values ($1, now() + make_interval(secs => $2))
     on conflict (only_row) do update set holder = excluded.holder, held_until = excluded.held_until
     where eraser_lease.holder = excluded.holder or eraser_lease.held_until < now()`,
    [holder, heldForSeconds],
  )
  return rowCount === 1
}

/** Unix ms; null: nobody has it. */
async function readHeldUntil(sql: Sql): Promise<number | null> {
  const { rows } = await sql.query<{ held_until: Date }>('select held_until from eraser_lease')
  return rows[0]?.held_until.getTime() ?? null
}
