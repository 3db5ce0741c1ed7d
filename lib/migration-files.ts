import { readFile } from 'node:fs/promises'
import type { RunnerOption } from 'node-pg-migrate'

type Strategies = NonNullable<RunnerOption['migrationLoaderStrategies']>

/** Stands in files whose statements each run by themselves, such as `create index concurrently`. */
const noTransaction = /^-- No transaction$/m

/**
 * Reads migrations written in SQL. One that says `-- No transaction` runs a statement at a time, waits for locks
 * without a limit (its statements hold up nobody who reads or writes rows), and is run again from its beginning after a
 * failure. Its statements end with a semicolon at the end of a line.
 *
 * @param of.lockTimeoutMs what is set for all others; null: nothing is set
 */
export function toStrategies(of: { lockTimeoutMs: number | null }): Strategies {
  return [{ extensions: ['.sql'], loader: (paths) => Promise.all(paths.map((path) => read(path, of))) }]
}

async function read(path: string, { lockTimeoutMs }: { lockTimeoutMs: number | null }) {
  const text = await readFile(path, 'utf8')
  const actions: Awaited<ReturnType<Exclude<Strategies[number]['loader'], string>>>[number]['actions'] = {
    up(migration) {
      if (!noTransaction.test(text)) {
        migration.sql(text)
        return
      }
      migration.noTransaction()
      if (lockTimeoutMs !== null) migration.sql('set lock_timeout = 0')
      for (const statement of text.split(/;$/m)) if (statement.trim()) migration.sql(statement)
      if (lockTimeoutMs !== null) migration.sql(`set lock_timeout = ${lockTimeoutMs}`)
    },
    down: false,
  }
  return { id: path, filePaths: [path], actions }
}
