import type { Sql } from '../../lib/postgres.ts'
import { CliFault } from '../fault.ts'
import type { Tally } from './tally.ts'

/** One partition of a rerun and how far it has come. */
export interface Stretch {
  topic: string
  partition: number
  from: number
  /** Not included. */
  to: number
  /** First offset whose effect is not known to be durable. */
  next: number
}

/** What a rerun does: enough to go on with it. */
export interface Plan {
  stretches: Stretch[]
  /** The command's own choices, as it wants them back. */
  choice: Record<string, unknown>
}

/** A run of a command, as its row tells. */
export interface Run {
  id: number
  plan: Plan
  tally: Tally
}

export interface RunName {
  command: 'replay' | 'restore' | 'restore --to-topic'
  /** The group or the topics. */
  subject: string
}

export async function beginRun(sql: Sql, name: RunName, run: Omit<Run, 'id'>): Promise<Run> {
  const { rows } = await sql.query<{ id: number }>(
    'insert into reruns (command, subject, plan, tally) values ($1, $2, $3, $4) returning id',
    [name.command, name.subject, JSON.stringify(run.plan), JSON.stringify(run.tally)],
  )
  return { plan: run.plan, tally: run.tally, id: rows[0]?.id ?? 0 }
}

/**
 * The run to go on with.
 *
 * @param id null: the latest that was not finished
 * @throws CliFault when there is none
 */
export async function resumeRun(sql: Sql, name: RunName, id: number | null): Promise<Run> {
  const { rows } = await sql.query<Run>(
    `select id, plan, tally from reruns
     where command = $1 and subject = $2 and finished_at is null and ($3::bigint is null or id = $3)
     order by id desc limit 1`,
    [name.command, name.subject, id],
  )
  if (rows[0]) return rows[0]
  const what = id === null ? 'unfinished run' : `unfinished run ${id}`
  throw new CliFault(`There is no ${what} of ${name.command} ${name.subject}`, 'Start one without --resume.')
}

/** Notes down how far a run has come. Whoever resumes it does again what came after the last note. */
async function saveRun(sql: Sql, run: Run, finished: boolean): Promise<void> {
  await sql.query(
    `update reruns set plan = $2, tally = $3, updated_at = now(), finished_at = case when $4 then now() end
     where id = $1`,
    [run.id, JSON.stringify(run.plan), JSON.stringify(run.tally), finished],
  )
}

/** Unfinished runs of a command, latest first. */
export async function openRuns(sql: Sql, name: RunName): Promise<{ id: number; updatedAt: Date }[]> {
  const { rows } = await sql.query<{ id: number; updatedAt: Date }>(
    `select id, updated_at as "updatedAt" from reruns
     where command = $1 and subject = $2 and finished_at is null order by id desc`,
    [name.command, name.subject],
  )
  return rows
}

/** Records that are left to be read, by offsets. */
export function recordsLeft(plan: Plan): number {
  return plan.stretches.reduce((sum, s) => sum + Math.max(0, s.to - s.next), 0)
}

const savedEveryMs = 2_000

/**
 * Notes a run down every two seconds until its end. A database that is away keeps the last note that it got: what
 * came after it is done again by whoever resumes.
 */
export function keepNotes(sql: Sql, run: Run): { end: (finished: boolean) => Promise<void> } {
  let saving = Promise.resolve()
  const save = (finished: boolean) => {
    saving = saving.then(() => saveRun(sql, run, finished)).catch(() => undefined)
    return saving
  }
  const timer = setInterval(() => void save(false), savedEveryMs)
  return {
    end(finished) {
      clearInterval(timer)
      return save(finished && recordsLeft(run.plan) === 0)
    },
  }
}
