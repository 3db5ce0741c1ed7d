import type { Env } from '../lib/config.ts'
import { kafkaConfig, kafkaEnv, parseEnv } from '../lib/config.ts'
import type { Admin } from '../lib/kafka/admin.ts'
import { openAdmin } from '../lib/kafka/admin.ts'
import type { ClientOptions } from '../lib/kafka/client.ts'
import type { Logger } from '../lib/log.ts'
import type { Scope } from '../lib/scope.ts'
import type { Topology } from '../lib/topology.ts'
import { topology } from '../lib/topology.ts'

/** A connection to Kafka and what further connections need. */
export interface Broker {
  admin: Admin
  client: ClientOptions
  topology: Topology
}

/**
 * Connects to Kafka.
 * @throws ConfigError, or RetriableError when it does not answer
 */
export async function openBroker(context: { env: Env; scope: Scope; log: Logger }): Promise<Broker> {
  const config = kafkaConfig(parseEnv(kafkaEnv, context.env))
  const client = { config, log: context.log, name: 'songswap-cli' }
  const admin = await context.scope.use(openAdmin(client), 'kafka')
  return { admin, client, topology: topology(config.prefix) }
}

/** A topic or group as the operator may write it: the physical name, or the one without `KAFKA_PREFIX`. */
export function toPhysical(name: string, known: readonly string[], prefix: string): string | null {
  return [name, prefix + name].find((n) => known.includes(n)) ?? null
}
