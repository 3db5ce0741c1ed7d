import type { Sql } from '../../lib/postgres.ts'
import { readActiveUsers } from '../../lib/spotify/budget-store.ts'

/** One poller leads: it does what reads all users, and the others read its results. */
export interface UpkeepLead {
  /**
   * Takes the lead, or keeps it.
   *
   * @returns whether this poller has it
   */
  hold(): Promise<boolean>
  /** Active users, as the leading poller counted them last. */
  readActiveUsers(): Promise<number>
  /** Shares a count with the others. */
  shareActiveUsers(count: number): Promise<void>
  /** Lets another poller take over at once. */
  release(): Promise<void>
}

/** @param forMs how long a dead poller keeps the lead */
export function openUpkeepLead(sql: Sql, forMs: number): UpkeepLead {
  const holder = crypto.randomUUID()
  return {
    async hold() {
      const { rowCount } = await sql.query(
        `insert into poller_upkeep (holder, held_until)
         values ($1, now() + make_interval(secs => $2::float8 / 1000))
         on conflict (only_row) do update set holder = excluded.holder, held_until = excluded.held_until
           where poller_upkeep.holder = excluded.holder or poller_upkeep.held_until <= now()`,
        [holder, forMs],
      )
      return rowCount === 1
    },
    async readActiveUsers() {
      const { rows } = await sql.query<{ count: number | null }>(
        'select active_users as count from poller_upkeep',
      )
      return rows[0]?.count ?? (await readActiveUsers(sql))
    },
    async shareActiveUsers(count) {
      await sql.query('update poller_upkeep set active_users = $2 where holder = $1', [holder, count])
    },
    async release() {
      await sql.query('update poller_upkeep set held_until = now() where holder = $1', [holder])
    },
  }
}
