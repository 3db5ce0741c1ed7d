import { randomBytes } from 'node:crypto'
import type { TestProject } from 'vitest/node'
import { openLog } from '../../lib/log.ts'
import { migrateDatabase } from '../../lib/migrate-database.ts'
import { Secret } from '../../lib/secret.ts'
import { openTestInfra } from './infra.ts'
import { onMaintenanceDatabase } from './maintenance.ts'

/**
 * Starts the servers once for all integration tests; each test file makes its own world on them. The database of a
 * world is a copy of the one that is migrated here.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const infra = await openTestInfra()
  const template = `template_${randomBytes(6).toString('hex')}`
  await onMaintenanceDatabase(infra.env, (client) => client.query(`CREATE DATABASE ${template}`))
  const url = new URL(infra.env.DATABASE_URL ?? '')
  url.pathname = `/${template}`
  await migrateDatabase({
    ...{ databaseUrl: new Secret(url.href), log: openLog('test', 'silent') },
    onWait: () => undefined,
  })
  project.provide('infra', infra.env)
  project.provide('template', template)
  return async () => {
    await onMaintenanceDatabase(infra.env, (client) => client.query(`DROP DATABASE ${template}`))
    await infra.stop()
  }
}
