import type { EventType, Notice } from '../events.ts'
import type { Sql } from '../postgres.ts'

/**
 * Operational events that have a beginning and an end, over all processes and restarts: each is raised once
 * and resolved once. The event is published first and the row written after: a crash in between may repeat an event but never
 * loses one. Two processes that find the same at the same moment may both publish it.
 */
export interface Incidents {
  /** Publishes the notice unless it is known to be raised. @returns whether it was published */
  raise(notice: Notice): Promise<boolean>
  /** Publishes the end of an incident that was raised. */
  resolve(notice: Omit<Notice, 'severity' | 'state'>): Promise<boolean>
  /** Types raised and not resolved of a subject. */
  open(subject: string): Promise<Set<EventType>>
  /** Subjects of which an event of the type was raised and not resolved. */
  subjects(type: EventType): Promise<string[]>
}

/** @param publish resolves when the event is in the topic */
export function openIncidents(sql: Sql, publish: (notice: Notice) => Promise<void>): Incidents {
  const turns = new Map<string, Promise<unknown>>()

  async function isOpen(type: EventType, subject: string): Promise<boolean> {
    const { rowCount } = await sql.query('select 1 from incidents where type = $1 and subject = $2', [
      type,
      subject,
    ])
    return rowCount === 1
  }

  async function raise(notice: Notice): Promise<boolean> {
    if (await isOpen(notice.type, notice.subject)) return false
    await publish({ ...notice, state: 'raised' })
    await sql.query('insert into incidents (type, subject) values ($1, $2) on conflict do nothing', [
      notice.type,
      notice.subject,
    ])
    return true
  }

  async function resolve(notice: Omit<Notice, 'severity' | 'state'>): Promise<boolean> {
    if (!(await isOpen(notice.type, notice.subject))) return false
    await publish({ ...notice, severity: 'info', state: 'resolved' })
    await sql.query('delete from incidents where type = $1 and subject = $2', [notice.type, notice.subject])
    return true
  }

  /** Requests in flight find the same thing at once: within a process one after the other looks. */
  function inTurn<T>(
    { type, subject }: Pick<Notice, 'type' | 'subject'>,
    work: () => Promise<T>,
  ): Promise<T> {
    const key = `${type} ${subject}`
    const mine = (turns.get(key) ?? Promise.resolve()).then(work, work)
    const ended = mine
      .catch(() => undefined)
      .then(() => {
        if (turns.get(key) === ended) turns.delete(key)
      })
    turns.set(key, ended)
    return mine
  }

  return {
    raise: (notice) => inTurn(notice, () => raise(notice)),
    resolve: (notice) => inTurn(notice, () => resolve(notice)),
    async open(subject) {
      const { rows } = await sql.query<{ type: EventType }>('select type from incidents where subject = $1', [
        subject,
      ])
      return new Set(rows.map((row) => row.type))
    },
    async subjects(type) {
      const { rows } = await sql.query<{ subject: string }>('select subject from incidents where type = $1', [
        type,
      ])
      return rows.map((row) => row.subject)
    },
  }
}
