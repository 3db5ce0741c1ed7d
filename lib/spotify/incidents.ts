import type { EventType, Notice } from '../events.ts'
import type { Sql } from '../postgres.ts'

/**
 * Operational events with a beginning and an end, over all processes and restarts: each is raised once and resolved
 * once. The event is published first and the row written after it, so a crash in between may repeat an event but never
 * loses one. Two processes that find the same thing at the same moment may both publish it.
 */
export interface Incidents {
  /** Publishes the notice unless the incident is already raised. @returns whether it was published */
  raise(notice: Notice): Promise<boolean>
  /** Publishes the end of an incident if it is raised. @returns whether it was published */
  resolve(notice: Omit<Notice, 'severity' | 'state'>): Promise<boolean>
  /** Types of the open incidents of a subject. */
  open(subject: string): Promise<Set<EventType>>
  /** Subjects of the open incidents of a type. */
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

  /** Concurrent requests may find the same thing: within a process they check one after the other. */
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
