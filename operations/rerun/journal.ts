import { z } from 'zod'
import type { Sql } from '../../lib/postgres.ts'
import { OperatorFault } from '../fault.ts'
import type { Tally } from './tally.ts'
import { emptyTally } from './tally.ts'

/** A partition of a rerun, or one of its logs in the archive, and how far the run has come in it. */
export const stretch = z.object({
  topic: z.string(),
  partition: z.int(),
  incarnation: z
    .int()
    .exactOptional()
    .describe("of the archive's logs of the partition; absent for the first one"),
  from: z.int(),
  to: z.int().describe('not included'),
  next: z.int().describe('first offset whose effect is not known to be durable'),
})

export type Stretch = z.infer<typeof stretch>

/** What a rerun does; enough to resume it. */
export interface Plan {
  stretches: Stretch[]
  /** The command's own choices, in its own form. */
  choice: Record<string, unknown>
}

/** A run of a command, as its row holds it. */
export interface Run {
  id: number
  plan: Plan
  tally: Tally
}

export interface RunName {
  command: 'replay' | 'restore' | 'restore --to-topic'
  /** The group of a replay; `archive` for a restore. */
  subject: string
}

/** The run to resume: its id, or the latest that was cut short; null for a new run. */
export type Resume = number | 'latest' | null

/** The command line that resumes a run. */
export function toResume({ command, subject }: RunName, id: number): string {
  return `songswap ${command}${command === 'replay' ? ` ${subject}` : ''} --resume ${id} --execute`
}

/** Longer than the interval between two saves. A run whose process was killed can be resumed after this time. */
const leaseSeconds = 10
const lease = `now() + interval '${leaseSeconds} seconds'`

export async function beginRun(sql: Sql, name: RunName, run: Omit<Run, 'id'>): Promise<Run> {
  const { rows } = await sql.query<{ id: number }>(
    `insert into reruns (command, subject, plan, tally, leased_until) values ($1, $2, $3, $4, ${lease})
     returning id`,
    [name.command, name.subject, JSON.stringify(run.plan), JSON.stringify(run.tally)],
  )
  return { plan: run.plan, tally: run.tally, id: rows[0]?.id ?? 0 }
}

/** Records that rows were loaded from a file, after which no replay is a rebuild. Such a run cannot be resumed. */
export async function noteFile(sql: Sql): Promise<void> {
  await sql.query(
    `insert into reruns (command, subject, plan, tally, finished_at)
     values ('restore', 'file', '{"stretches": [], "choice": {}}', $1, now())`,
    [JSON.stringify(emptyTally())],
  )
}

/**
 * Reads the run to resume.
 *
 * @param of.execute takes the run's lease too, so that no other process can resume it meanwhile
 * @throws OperatorFault when there is no such run, or when its process is still at work
 */
export async function resumeRun(
  sql: Sql,
  name: RunName,
  of: { id: number | 'latest'; execute: boolean },
): Promise<Run> {
  const known = (await openRuns(sql, name)).find(({ id }) => of.id === 'latest' || id === of.id)
  if (!known) {
    const what = of.id === 'latest' ? 'unfinished run' : `unfinished run ${of.id}`
    throw new OperatorFault(
      `There is no ${what} of ${name.command} ${name.subject}`,
      'Start one without --resume.',
    )
  }
  const { rows } = await sql.query<Run>(
    `update reruns set leased_until = case when $2 then ${lease} end
     where id = $1 and finished_at is null and (leased_until is null or leased_until < now())
     returning id, plan, tally`,
    [known.id, of.execute],
  )
  // The tally of a run of an older version may lack some counts.
  if (rows[0]) return { ...rows[0], tally: { ...emptyTally(), ...rows[0].tally } }
  throw new OperatorFault(
    `Run ${known.id} is at work`,
    `Stop it first. After a kill it can be resumed ${leaseSeconds} seconds later.`,
  )
}

/** Saves how far a run has come. A process that resumes it repeats what came after the last save. */
async function saveRun(sql: Sql, run: Run, state: 'going' | 'stopped' | 'finished'): Promise<void> {
  await sql.query(
    `update reruns set plan = $2, tally = $3, updated_at = now(),
       leased_until = case when $4 = 'going' then ${lease} end,
       finished_at = case when $4 = 'finished' then now() end
     where id = $1`,
    [run.id, JSON.stringify(run.plan), JSON.stringify(run.tally), state],
  )
}

export const openRun = z.object({
  id: z.int(),
  updatedAt: z.date(),
  isGoing: z.boolean().describe('true if its process is alive, or was a few seconds ago'),
})

export type OpenRun = z.infer<typeof openRun>

/** Unfinished runs of a command, latest first. */
export async function openRuns(sql: Sql, name: RunName): Promise<OpenRun[]> {
  const { rows } = await sql.query<OpenRun>(
    `select id, updated_at as "updatedAt", coalesce(leased_until >= now(), false) as "isGoing" from reruns
     where command = $1 and subject = $2 and finished_at is null order by id desc`,
    [name.command, name.subject],
  )
  return rows
}

/** How many offsets are left to read. */
export function recordsLeft(stretches: readonly Stretch[]): number {
  return stretches.reduce((sum, s) => sum + Math.max(0, s.to - s.next), 0)
}

const savedEveryMs = 2_000

/**
 * Saves a run every two seconds until its end. If the database is away, its row keeps the last save, and a process that
 * resumes the run repeats what came after it.
 */
export function keepNotes(sql: Sql, run: Run): { end: (finished: boolean) => Promise<void> } {
  const save = (state: Parameters<typeof saveRun>[2]) => saveRun(sql, run, state).catch(() => undefined)
  let saving: Promise<void> | null = null
  const timer = setInterval(() => {
    // While the database hangs, saves do not queue up: the end would wait for all of them.
    saving ??= save('going').finally(() => {
      saving = null
    })
  }, savedEveryMs)
  return {
    async end(finished) {
      clearInterval(timer)
      await saving
      await save(finished && recordsLeft(run.plan.stretches) === 0 ? 'finished' : 'stopped')
    },
  }
}
