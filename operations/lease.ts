import { randomUUID } from 'node:crypto'
import { pause } from '../lib/backoff.ts'
import type { Sql } from '../lib/postgres.ts'
import { OperatorFault } from './fault.ts'

/** Work that only one operator may do at a time, and the message for the second one. */
const busy = {
  /** Two redrives of the same dead letters would put their records back twice. */
  decide: 'Somebody else redrives or discards right now',
  /** Two rewrites of the same archive object would undo one another. */
  erase: 'Somebody else is erasing a user right now',
} as const

const heldForSeconds = 20
const renewedEveryMs = 2_000
/** After this long without a renewal no write begins; the rest of the lease is for writes that are under way. */
const trustedForMs = 10_000
const askedEveryMs = 500

/** The right to do something alone while it is renewed. It survives a broken connection. */
export interface Lease {
  /** @throws OperatorFault when the lease may be lost, so that another operator may write */
  assertHeld(): void
}

/**
 * Takes a lease, does the work, and releases the lease; if the database is away then, the lease expires. Waits for a
 * lease whose holder no longer renews it.
 *
 * @throws OperatorFault when another operator renews the lease, or when the wait is aborted
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
    // A lease that may have been lost stays lost: another operator may have held it meanwhile.
    if (askedAt - renewedAt < trustedForMs && (await extend(sql, own))) renewedAt = askedAt
  }
  // A renewal may fail while the database is away: the next one may still be in time.
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

/** @returns the moment before the request that took it, by `performance.now()` */
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

/** Takes or renews the lease; false if another operator holds it. */
async function extend(sql: Sql, { name, holder }: Own): Promise<boolean> {
  const { rowCount } = await sql.query(
    `insert into operator_leases (name, holder, held_until) values ($1, $2, now() + make_interval(secs => $3))
     on conflict (name) do update set holder = excluded.holder, held_until = excluded.held_until
     where operator_leases.holder = excluded.holder or operator_leases.held_until < now()`,
    [name, holder, heldForSeconds],
  )
  return rowCount === 1
}

/** When the lease ends, in Unix ms; may be past. Null if there is no row. */
async function readHeldUntil(sql: Sql, { name }: Own): Promise<number | null> {
  const { rows } = await sql.query<{ held_until: Date }>(
    'select held_until from operator_leases where name = $1',
    [name],
  )
  return rows[0]?.held_until.getTime() ?? null
}
