import type { Env } from '../lib/config.ts'
import { parseEnv, postgresEnv } from '../lib/config.ts'
import type { Logger } from '../lib/log.ts'
import type { Postgres } from '../lib/postgres.ts'
import { openPostgres } from '../lib/postgres.ts'
import type { Scope } from '../lib/scope.ts'
import { CliFault, describe } from './fault.ts'

/**
 * Connects to Postgres.
 * @throws ConfigError, or CliFault when it does not answer or lets nobody in
 */
export async function openDatabase(context: { env: Env; scope: Scope; log: Logger }): Promise<Postgres> {
  const { DATABASE_URL: url } = parseEnv(postgresEnv, context.env)
  const postgres = await context.scope.use(
    openPostgres({ url, connections: 4, name: 'cli', log: context.log }),
    'postgres',
  )
  try {
    await postgres.query('select 1')
  } catch (cause) {
    const { host } = new URL(url.reveal())
    throw new CliFault(
      `Postgres at ${host} does not answer: ${describe(cause)}`,
      'Is it running, and is DATABASE_URL right? For the local servers: npm run infra',
      { cause },
    )
  }
  return postgres
}
