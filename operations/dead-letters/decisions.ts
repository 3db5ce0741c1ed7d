import type { Sql } from '../../lib/postgres.ts'
import type { Letter } from './letter.ts'
import type { Decision } from './report.ts'

interface DecisionRow {
  partition: number
  offset: number
  died_at: Date
  decision: Decision['state']
  redrives: number
  decided_at: Date
  note: string | null
}

/** The same letters, each with its decision. */
export async function withDecisions(sql: Sql, letters: readonly Letter[]): Promise<Letter[]> {
  const { rows } = await sql.query<DecisionRow>(
    `select d.* from dead_letter_decisions d
     join unnest($1::int[], $2::bigint[], $3::timestamptz[]) as l (partition, "offset", died_at)
       using (partition, "offset", died_at)`,
    toColumns(letters),
  )
  const known = new Map(rows.map((r) => [toKey(r.partition, r.offset, r.died_at.getTime()), r]))
  return letters.map((letter) => {
    const row = known.get(toKey(letter.record.partition, letter.record.offset, letter.diedAt))
    if (!row) return letter
    const { decision: state, redrives, decided_at: decidedAt, note } = row
    return { ...letter, decision: { state, redrives, decidedAt, note } }
  })
}

/** Records a decision. For a redrive, call it only once the records are back on their topic. */
export async function noteDecision(
  sql: Sql,
  letters: readonly Letter[],
  { state, note }: { state: Decision['state']; note: string | null },
): Promise<void> {
  await sql.query(
    `insert into dead_letter_decisions (partition, "offset", died_at, decision, redrives, note)
     select l.partition, l."offset", l.died_at, $4, case when $4 = 'redriven' then 1 else 0 end, $5
     from unnest($1::int[], $2::bigint[], $3::timestamptz[]) as l (partition, "offset", died_at)
     on conflict (partition, "offset", died_at) do update set decision = excluded.decision,
       redrives = dead_letter_decisions.redrives + excluded.redrives, decided_at = now(),
       note = coalesce(excluded.note, dead_letter_decisions.note)`,
    [...toColumns(letters), state, note],
  )
}

function toColumns(letters: readonly Letter[]): [number[], number[], Date[]] {
  return [
    letters.map((l) => l.record.partition),
    letters.map((l) => l.record.offset),
    letters.map((l) => new Date(l.diedAt)),
  ]
}

function toKey(partition: number, offset: number, diedAt: number): string {
  return `${partition}/${offset}@${diedAt}`
}
