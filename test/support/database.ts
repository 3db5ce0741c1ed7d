import { inject } from 'vitest'
import type { Logger } from '../../lib/log.ts'
import { openLog } from '../../lib/log.ts'
import type { Postgres } from '../../lib/postgres.ts'
import { openPostgres } from '../../lib/postgres.ts'
import { Secret } from '../../lib/secret.ts'
import type { World } from './world.ts'
import { createWorld } from './world.ts'

/** A world with a migrated database. */
export interface TestDatabase extends World {
  log: Logger
  /** Connections to the database, closed with the world. */
  openPostgres(connections: number): Postgres
}

export async function createDatabase(): Promise<TestDatabase> {
  const world = await createWorld(inject('template'))
  const log = openLog('test', process.env.TEST_LOG_LEVEL ?? 'silent')
  const opened: Postgres[] = []
  return {
    ...world,
    log,
    openPostgres(connections) {
      const url = new Secret(world.env.DATABASE_URL ?? '')
      const postgres = openPostgres({ url, connections, name: 'test', log })
      opened.push(postgres)
      return postgres
    },
    async release() {
      await Promise.all(opened.map((postgres) => postgres.close()))
      await world.release()
    },
  }
}
