import type { Sql } from '../../lib/postgres.ts'
import type { Owner } from './report.ts'
import type { TopicFindings } from './topics.ts'

/**
 * Notes on dead letters that are removed: those on letters of the user, those that name the user, and those on letters
 * that the topic has forgotten, because their user is unknown.
 */
const own = `note is not null and (
  exists (select from jsonb_to_recordset($1::jsonb) as d (partition int, "offset" bigint)
    where d.partition = dead_letter_decisions.partition and d."offset" = dead_letter_decisions."offset")
  or exists (select from jsonb_to_recordset($2::jsonb) as f (partition int, "from" bigint)
    where f.partition = dead_letter_decisions.partition and dead_letter_decisions."offset" < f."from")
  or note ~* ('\\muser[ :#=]*' || $3::bigint || '\\M')
  or position($4::text in note) > 0)`

type Found = Pick<TopicFindings, 'dead' | 'deadFrom'>

export async function countNotes(sql: Sql, owner: Owner, found: Found): Promise<number> {
  const { rows } = await sql.query<{ n: number }>(
    `select count(*)::int as n from dead_letter_decisions where ${own}`,
    toValues(owner, found),
  )
  return rows[0]?.n ?? 0
}

/** Removes the notes; the decisions stay. */
export async function removeNotes(sql: Sql, owner: Owner, found: Found): Promise<number> {
  const { rowCount } = await sql.query(
    `update dead_letter_decisions set note = null where ${own}`,
    toValues(owner, found),
  )
  return rowCount ?? 0
}

function toValues({ id, spotifyId }: Owner, { dead, deadFrom }: Found): unknown[] {
  const forgotten = [...deadFrom].map(([partition, from]) => ({ partition, from }))
  return [JSON.stringify(dead), JSON.stringify(forgotten), id, spotifyId]
}
