import type { Env } from '../lib/config.ts'
import { ConfigError, kafkaConfig, kafkaEnv, parseEnv, postgresEnv, serviceEnv } from '../lib/config.ts'
import { messageOf } from '../lib/errors.ts'
import { exitCodes } from '../lib/lifecycle.ts'
import { openLog, scrub } from '../lib/log.ts'
import type { MigrateReport } from '../lib/migrate.ts'
import { migrateAll } from '../lib/migrate.ts'
import { MigrationFault } from '../lib/migrate-fault.ts'
import { toSentence } from '../lib/server-settings/rules.ts'

/** `npm run migrate`: brings Postgres, topics and schemas up to date, and prints what it changed. */
async function main(env: Env): Promise<number> {
  const settings = parseEnv(
    { ...kafkaEnv, ...postgresEnv, LOG_LEVEL: serviceEnv.LOG_LEVEL.default('warn') },
    env,
  )
  const log = openLog('migrate', settings.LOG_LEVEL)
  const report = await migrateAll({
    kafka: kafkaConfig(settings),
    databaseUrl: settings.DATABASE_URL,
    log,
    onWait: (text) => console.log(text),
  })
  for (const line of toLines(report)) console.log(line)
  const refused = report.settings.unsafe.filter(({ rule }) => rule.level === 'refuse')
  for (const setting of refused) console.error(`Refused: ${toSentence(setting)}`)
  return refused.length > 0 ? exitCodes.fault : exitCodes.stopped
}

function toLines({ migrations, topics, subjects, settings }: MigrateReport): string[] {
  const done = [
    ...migrations.map((name) => `  migration ${name}`),
    ...topics.created.map((name) => `  topic     ${name}`),
    ...topics.changed.map((change) => `  topic     ${change}`),
    ...subjects.map((name) => `  schema    ${name}`),
  ]
  return [
    ...(done.length > 0 ? ['Brought up to date:', ...done] : ['Everything is up to date.']),
    ...topics.differing.map((text) => `Not changed: ${text}`),
    ...settings.unsafe
      .filter(({ rule }) => rule.level === 'warn')
      .map((setting) => `Warning: ${toSentence(setting)}`),
    ...settings.unchecked.map((text) => `Not checked: ${text}`),
  ]
}

function explain(error: unknown): string {
  if (!(error instanceof MigrationFault)) return messageOf(error)
  return [error.message, ...(error.hint ? [`  ${error.hint}`] : [])].join('\n')
}

main(process.env)
  .catch((error: unknown) => {
    console.error(scrub(explain(error)))
    return error instanceof ConfigError ? exitCodes.usage : exitCodes.fault
  })
  .then((code) => process.exit(code))
