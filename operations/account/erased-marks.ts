import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Sql } from '../../lib/postgres.ts'
import type { Archive } from '../operator.ts'

/*
 * Each erased user has a row in the database and an empty object beside the archive, named by the id alone: a database
 * that is lost and rebuilt, from the archive or from a dump, must not bring erased users back.
 */

const folderOf = (prefix: string) => [prefix, 'erased/'].filter(Boolean).join('/')
const name = /^user=([1-9]\d{0,14})$/

export async function putErasedMark({ s3, prefix }: Archive, userId: number): Promise<void> {
  await s3.putIfAbsent({
    key: `${folderOf(prefix)}user=${userId}`,
    open: () => Readable.from([]),
    length: 0,
    md5: createHash('md5').update('').digest('base64'),
    contentType: 'text/plain',
    metadata: {},
  })
}

/** Copies the marks into the database, before anything is loaded. */
export async function restoreErasedMarks({ s3, prefix }: Archive, sql: Sql): Promise<void> {
  const folder = folderOf(prefix)
  const ids: number[] = []
  for await (const key of s3.list(folder)) {
    const [, id] = name.exec(key.slice(folder.length)) ?? []
    if (id) ids.push(Number(id))
  }
  await sql.query(
    'insert into erased_users (user_id) select unnest($1::bigint[]) order by 1 on conflict do nothing',
    [ids],
  )
}
