import type { Sql } from '../../lib/postgres.ts'
import { toArray } from '../../lib/postgres.ts'
import type { MetadataKind } from '../../lib/topology.ts'
import { metadataKey } from '../../lib/topology.ts'
import type { Ticket } from './ticket.ts'
import { deferralMs, toDeferredTicket } from './ticket.ts'

/** Lookups that failed repeatedly, kept in Postgres until they are due. */
export interface DeferredLookups {
  /** Stores the lookups, so that their records can be settled. */
  defer(tickets: readonly Ticket[]): Promise<void>
  /** Takes lookups that are due; those not deferred or forgotten within 15 minutes are due again. */
  takeDue(limit: number): Promise<Ticket[]>
  /** Deletes lookups that have ended. */
  forget(tickets: readonly Ticket[]): Promise<void>
}

const takenForMs = 15 * 60_000

/** @param minMs the first wait of a deferred lookup; see {@link deferralMs} */
export function openDeferredLookups(sql: Sql, minMs: number): DeferredLookups {
  return {
    async defer(tickets) {
      const byKey = [...new Map(tickets.map((t) => [t.wanted.key, t])).values()]
      await sql.query(
        `insert into deferred_lookups (kind, id, requested_at, attempts, next_ask_at)
         select kind, id, to_timestamp(requested_at / 1000), attempts, now() + make_interval(secs => after_ms / 1000)
         from unnest($1::text[], $2::text[], $3::float8[], $4::int[], $5::float8[])
           as d (kind, id, requested_at, attempts, after_ms)
         on conflict (kind, id) do update set attempts = excluded.attempts, next_ask_at = excluded.next_ask_at,
           requested_at = greatest(deferred_lookups.requested_at, excluded.requested_at)`,
        [
          toArray(byKey.map((t) => t.wanted.kind)),
          toArray(byKey.map((t) => t.wanted.id)),
          toArray(byKey.map((t) => t.wanted.requestedAt)),
          toArray(byKey.map((t) => t.attempts)),
          toArray(byKey.map((t) => deferralMs(t.attempts, minMs))),
        ],
      )
    },

    async takeDue(limit) {
      const { rows } = await sql.query<{
        kind: MetadataKind
        id: string
        requestedAt: Date
        attempts: number
      }>(
        `with due as (
           select kind, id from deferred_lookups where next_ask_at <= now()
           order by next_ask_at limit $1 for update skip locked
         )
         update deferred_lookups d set next_ask_at = now() + make_interval(secs => $2::float8 / 1000)
         from due where d.kind = due.kind and d.id = due.id
         returning d.kind, d.id, d.requested_at as "requestedAt", d.attempts`,
        [limit, takenForMs],
      )
      const now = performance.now()
      return rows.map(({ kind, id, requestedAt, attempts }) => {
        const key = metadataKey(kind, id)
        return toDeferredTicket({ kind, id, key, requestedAt: requestedAt.getTime() }, { attempts, now })
      })
    },

    async forget(tickets) {
      await sql.query(
        `delete from deferred_lookups d using unnest($1::text[], $2::text[]) as gone (kind, id)
         where d.kind = gone.kind and d.id = gone.id`,
        [toArray(tickets.map((t) => t.wanted.kind)), toArray(tickets.map((t) => t.wanted.id))],
      )
    },
  }
}
