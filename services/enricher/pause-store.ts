import type { Sql } from '../../lib/postgres.ts'

/** The stored pause of a source that has no budget; measured by the database's clock. */
export interface PauseStore {
  /** Milliseconds left of the pause, or 0 without one. */
  pausedForMs(): Promise<number>
  /** Stores a pause; never shortens one. */
  pause(ms: number, reason: string): Promise<void>
}

/** @param lane names the row of `api_pauses`; it has no client id, because the source knows no clients */
export function openPauseStore(sql: Sql, lane: string): PauseStore {
  return {
    async pausedForMs() {
      const { rows } = await sql.query<{ ms: number }>(
        `select (extract(epoch from paused_until - now()) * 1000)::float8 as ms
         from api_pauses where client_id = '' and lane = $1 and paused_until > now()`,
        [lane],
      )
      return Math.max(0, Math.ceil(rows[0]?.ms ?? 0))
    },
    async pause(ms, reason) {
      await sql.query(
        `insert into api_pauses (client_id, lane, paused_until, reason)
         values ('', $1, now() + make_interval(secs => $2::float8 / 1000), $3)
         on conflict (client_id, lane) do update
           set paused_until = greatest(api_pauses.paused_until, excluded.paused_until), reason = excluded.reason`,
        [lane, ms, reason],
      )
    },
  }
}
