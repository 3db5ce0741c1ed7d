import { readFile } from 'node:fs/promises'
import type { RunnerOption } from 'node-pg-migrate'

type Strategies = NonNullable<RunnerOption['migrationLoaderStrategies']>

/** Marks files whose statements run outside a transaction, such as `create index concurrently`. */
const noTransaction = /^-- No transaction$/m

/**
 * Reads migrations written in SQL. A file with `-- No transaction` runs statement by statement, waits for locks
 * without a limit (its statements do not hold up readers and writers of rows), and runs again from its beginning
 * after a failure. Its statements end with a semicolon at the end of a line.
 *
 * @param of.lockTimeoutMs the lock timeout of all other files, or null if none is set
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
