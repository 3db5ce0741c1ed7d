import type { Env } from '../lib/config.ts'
import { ConfigError, kafkaConfig, kafkaEnv, parseEnv, postgresEnv, serviceEnv } from '../lib/config.ts'
import { isRetriable, messageOf } from '../lib/errors.ts'
import { exitCodes } from '../lib/lifecycle.ts'
import { openLog } from '../lib/log.ts'
import { migrateAll } from '../lib/migrate.ts'

/** `npm run migrate`: brings Postgres, topics and schemas up to date, and says what it changed. */
async function main(env: Env): Promise<number> {
  const settings = parseEnv(
    { ...kafkaEnv, ...postgresEnv, LOG_LEVEL: serviceEnv.LOG_LEVEL.default('warn') },
    env,
  )
  const log = openLog('migrate', settings.LOG_LEVEL)
  const report = await migrateAll({ kafka: kafkaConfig(settings), databaseUrl: settings.DATABASE_URL, log })
  const lines = [
    ...report.migrations.map((name) => `migration ${name}`),
    ...report.topics.map((name) => `topic     ${name}`),
    ...report.subjects.map((name) => `schema    ${name}`),
  ]
  console.log(
    lines.length > 0
      ? `Brought up to date:\n${lines.map((l) => `  ${l}`).join('\n')}`
      : 'Everything is up to date.',
  )
  return exitCodes.stopped
}

main(process.env)
  .catch((error: unknown) => {
    if (error instanceof ConfigError) {
      console.error(error.message)
      return exitCodes.usage
    }
    console.error(messageOf(error))
    if (isRetriable(error)) console.error('Is it running? For the local servers: npm run infra')
    return exitCodes.fault
  })
  .then((code) => process.exit(code))
