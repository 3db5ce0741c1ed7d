import { createHash } from 'node:crypto'
import { messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { Sql } from '../../lib/postgres.ts'
import type { Secret } from '../../lib/secret.ts'

/**
 * Stores in Postgres whether the webhook takes alerts, for `songswap status` and `doctor`, which post nothing
 * themselves. Never throws and never waits: an alert must not depend on the database.
 */
export interface Delivery {
  accepted(): void
  refused(detail: string): void
}

/** @param sql null if there is no database: then nothing is stored */
export function openDelivery(options: { sql: Sql | null; webhook: Secret | null; log: Logger }): Delivery {
  const { sql, webhook, log } = options
  if (!sql || !webhook) return { accepted: () => undefined, refused: () => undefined }
  const id = toWebhookId(webhook)
  /** The state to store next, or null if none waits. */
  let wanted: State | null = null
  /** The stored state, or null while it is not known. */
  let stored: State | null = null
  let busy = false

  async function store(state: State): Promise<void> {
    // A refusal of another webhook says nothing about this one.
    await sql?.query('delete from alert_delivery where webhook <> $1 or $2', [id, state === accepted])
    if (state === accepted) return
    await sql?.query(
      `insert into alert_delivery (webhook, detail) values ($1, $2)
       on conflict (webhook) do update set detail = excluded.detail, refused_at = now()`,
      [id, state],
    )
  }

  /** One write at a time; a state that arrives meanwhile is stored next. */
  async function work(): Promise<void> {
    if (busy) return
    busy = true
    try {
      for (let state = wanted; state !== null; state = wanted) {
        wanted = null
        await store(state)
        stored = state
      }
    } catch (error) {
      stored = null
      log.warn({ reason: messageOf(error) }, 'delivery_not_kept')
    }
    busy = false
  }

  return {
    accepted() {
      if (stored === accepted && wanted === null) return
      wanted = accepted
      void work()
    },
    refused(detail) {
      wanted = detail
      void work()
    },
  }
}

/** Why the webhook takes no alerts, or {@link accepted}. */
type State = string
/** The webhook takes alerts. */
const accepted = ''

/** Since when a webhook has refused alerts, and why; or null if no refusal is known. */
export async function readRefusal(sql: Sql): Promise<{ since: Date; detail: string } | null> {
  const { rows } = await sql.query<{ since: Date; detail: string }>(
    'select refused_since as since, detail from alert_delivery order by refused_since limit 1',
  )
  return rows[0] ?? null
}

/** Identifies a webhook without revealing it. */
function toWebhookId(webhook: Secret): string {
  return createHash('sha256').update(webhook.reveal()).digest('hex').slice(0, 16)
}
