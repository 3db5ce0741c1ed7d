import { randomUUID } from 'node:crypto'
import { pause } from '../lib/backoff.ts'
import type { Sql } from '../lib/postgres.ts'
import { OperatorFault } from './fault.ts'

/** What one operator does at a time. */
const busy = {
  /** Two who redrive the same dead letters would put their records back twice. */
  decide: 'Somebody else redrives or discards right now',
  /** Two who write the same object of the archive again would undo one another. */
  erase: 'Somebody else is erasing a user right now',
} as const

const heldForSeconds = 20
const renewedEveryMs = 2_000
/** After this long without a renewal nothing more is written: the rest is for writes that are under way. */
const trustedForMs = 10_000
const askedEveryMs = 500

/** The right to do something alone, as long as it is renewed. It outlives a connection that breaks. */
export interface Lease {
  /** @throws OperatorFault when the lease may be lost: somebody else may write now */
  assertHeld(): void
}

/**
 * Takes a lease, works, and gives it back; where the database is away it runs out. Waits for a lease that runs out
 * because its holder is dead.
 *
 * @throws OperatorFault when somebody else has the lease, or when the waiting is aborted
 */
export async function withLease<T>(
  sql: Sql,
  { name, signal }: { name: keyof typeof busy; signal: AbortSignal },
  work: (lease: Lease) => Promise<T>,
): Promise<T> {
  const own: Own = { name, holder: randomUUID() }
  let renewedAt = await take(sql, own, signal)
  const renew = async () => {
    const askedAt = performance.now()
    // Once it may have been lost it stays lost: somebody may have had it meanwhile.
    if (askedAt - renewedAt < trustedForMs && (await extend(sql, own))) renewedAt = askedAt
  }
  // A database that is away: the next renewal may come in time.
  const timer = setInterval(() => void renew().catch(() => undefined), renewedEveryMs)
  try {
    return await work({
      assertHeld() {
        if (performance.now() - renewedAt < trustedForMs) return
        throw new OperatorFault(
          'The database was away for too long, and somebody else may be at it by now',
          'Run the command again: it goes on where it was.',
        )
      },
    })
  } finally {
    clearInterval(timer)
    await sql
      .query('delete from operator_leases where name = $1 and holder = $2', [name, own.holder])
      .catch(() => undefined)
  }
}

interface Own {
  name: keyof typeof busy
  holder: string
}

/** @returns when it was asked for, a moment of `performance.now()` */
async function take(sql: Sql, own: Own, signal: AbortSignal): Promise<number> {
  let seen: number | null = null
  for (;;) {
    const askedAt = performance.now()
    if (await extend(sql, own)) return askedAt
    const heldUntil = await readHeldUntil(sql, own)
    const isRenewed = seen !== null && heldUntil !== null && heldUntil > seen
    if (isRenewed || signal.aborted) throw new OperatorFault(busy[own.name], 'Try again when they are done.')
    seen = heldUntil ?? seen
    await pause(askedEveryMs, signal)
  }
}

/** Takes the lease or prolongs it; false if somebody else has it. */
async function extend(sql: Sql, { name, holder }: Own): Promise<boolean> {
  const { rowCount } = await sql.query(
    `insert into operator_leases (name, holder, held_until) values ($1, $2, now() + make_interval(secs => $3))
     on conflict (name) do update set holder = excluded.holder, held_until = excluded.held_until
     where operator_leases.holder = excluded.holder or operator_leases.held_until < now()`,
    [name, holder, heldForSeconds],
  )
  return rowCount === 1
}

/** Unix ms; null if nobody has it. */
async function readHeldUntil(sql: Sql, { name }: Own): Promise<number | null> {
  const { rows } = await sql.query<{ held_until: Date }>(
    'select held_until from operator_leases where name = $1',
    [name],
  )
  return rows[0]?.held_until.getTime() ?? null
}
