import { readdir } from 'node:fs/promises'
import type { Sql } from '../../lib/postgres.ts'
import { findInDatabase } from '../../lib/server-settings/read.ts'
import { toCount } from '../../lib/words.ts'
import type { Check, Notes } from './check.ts'
import { noteSettings, toSentenceCase } from './settings.ts'

const migrationsDir = new URL('../../db/migrations/', import.meta.url)
/** Shares of max_connections. */
const manyConnections = 0.8
const tooManyConnections = 0.95

export const postgresCheck: Check = {
  name: 'postgres',
  looksAt: 'version, migrations, indexes, connections, durability, size of the plays',
  withinMs: 10_000,
  hint: 'Is Postgres running, and is DATABASE_URL right? For the local servers: npm run infra',
  async run(operator, notes) {
    const sql = await operator.postgres()
    await noteServer(sql, notes)
    await noteConnections(sql, notes)
    if (!(await noteMigrations(sql, notes))) return
    await noteIndexes(sql, notes)
    await noteSize(sql, notes)
  },
}

/** Settings that share one finding. */
const durability = ['fsync', 'full_page_writes', 'synchronous_commit']
const version = 'server_version_num'

async function noteServer(sql: Sql, notes: Notes): Promise<void> {
  const { rows } = await sql.query<{ text: string }>(`select current_setting('server_version') as text`)
  const text = rows[0]?.text ?? ''
  const unsafe = await findInDatabase(sql)
  const of = (...names: string[]) => unsafe.filter(({ rule }) => names.includes(rule.setting))
  if (of(version).length === 0) notes.ok('version', text)
  else notes.fail('version', `${text} is too old`, 'Use Postgres 15 or newer.')
  const loose = of(...durability)
  if (loose.length > 0) {
    const names = loose.map(({ rule, value }) => `${rule.setting} = ${value}`).join(', ')
    const rule = loose[0]?.rule
    notes.warn('durability', `${names}: ${rule?.harm}`, `${toSentenceCase(rule?.remedy ?? '')}.`)
  }
  const others = unsafe.filter(({ rule }) => ![version, ...durability].includes(rule.setting))
  await noteSettings(notes, 'settings', async () => others)
}

async function noteConnections(sql: Sql, notes: Notes): Promise<void> {
  const { rows } = await sql.query<{ used: number; own: number; most: number }>(
    `select count(*) as used, count(*) filter (where application_name like 'songswap-%') as own,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as most
     from pg_stat_activity where backend_type = 'client backend'`,
  )
  const { used = 0, own = 0, most = 0 } = rows[0] ?? {}
  const text = `${used} of ${most} in use, ${own} of them by songswap`
  const hint = 'Raise max_connections, put a pooler in between, or start fewer processes.'
  if (used >= most * tooManyConnections) notes.fail('connections', text, hint)
  else if (used >= most * manyConnections) notes.warn('connections', text, hint)
  else notes.ok('connections', text)
}

/** @returns whether all migrations of this version have run */
async function noteMigrations(sql: Sql, notes: Notes): Promise<boolean> {
  const files = (await readdir(migrationsDir)).filter((file) => file.endsWith('.sql'))
  const known = files.map((file) => file.replace(/\.sql$/, '')).sort()
  const { rows } = await sql.query<{ name: string | null }>(`select to_regclass('migrations')::text as name`)
  const ran = rows[0]?.name ? await readRan(sql) : []
  const missing = known.filter((name) => !ran.includes(name))
  const foreign = ran.filter((name) => !known.includes(name))
  if (missing.length > 0) {
    notes.fail('migrations', `missing: ${missing.join(', ')}`, 'npm run migrate; it is safe at any time.')
  } else if (foreign.length > 0) {
    const text = `the database is newer than this version: ${foreign.join(', ')}`
    notes.warn('migrations', text, 'Run the same version everywhere.')
  } else notes.ok('migrations', `up to date, at ${known.at(-1) ?? 'none'}`)
  return missing.length === 0
}

async function readRan(sql: Sql): Promise<string[]> {
  const { rows } = await sql.query<{ name: string }>('select name from migrations order by id')
  return rows.map((row) => row.name)
}

async function noteIndexes(sql: Sql, notes: Notes): Promise<void> {
  const { rows } = await sql.query<{ name: string; isGood: boolean }>(
    `select c.relname as name, i.indisvalid and i.indisready as "isGood"
     from pg_index i join pg_class c on c.oid = i.indexrelid
     where c.relnamespace = current_schema()::regnamespace order by 1`,
  )
  const broken = rows.filter((row) => !row.isGood)
  for (const { name } of broken) {
    notes.fail(`index ${name}`, 'it is not valid: it is not used', `REINDEX INDEX CONCURRENTLY "${name}"`)
  }
  if (broken.length === 0) notes.ok('indexes', `${rows.length}, all valid`)
}

async function noteSize(sql: Sql, notes: Notes): Promise<void> {
  const { rows } = await sql.query<{ plays: number; size: string; total: string }>(
    `select greatest(c.reltuples, 0)::float8 as plays, pg_size_pretty(pg_total_relation_size(c.oid)) as size,
       pg_size_pretty(pg_database_size(current_database())) as total
     from pg_class c where c.oid = 'plays'::regclass`,
  )
  const { plays = 0, size = '?', total = '?' } = rows[0] ?? {}
  const about = plays > 0 ? `about ${toCount(Math.round(plays))} rows` : 'not analysed yet, or empty'
  notes.ok('size', `plays ${size} with indexes (${about}), database ${total}`)
}
