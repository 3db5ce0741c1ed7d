import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { javaArgs, javaCommand } from './java.ts'
import { createServer, type Server } from './server.ts'
import { StackFault } from './stack-fault.ts'

export interface RegistryOptions {
  dataDir: string
  jarsDir: string
  port: number
  /** Keeps the schemas. Records in Kafka contain their ids, so they must last as long. */
  database: { port: number; name: string; user: string; password: string }
  onCrash: (fault: StackFault) => void
}

/** Apicurio Registry, not yet started; its database must exist. */
export function createRegistry(options: RegistryOptions): Server {
  const { dataDir, jarsDir, port, database, onCrash } = options
  return createServer({
    name: 'registry',
    dataDir,
    command: javaCommand(),
    args: [...javaArgs({ heapMiB: 256, quickStart: true }), '-jar', runnerJar(join(jarsDir, 'registry'))],
    env: {
      ...process.env,
      QUARKUS_HTTP_HOST: '127.0.0.1',
      QUARKUS_HTTP_PORT: String(port),
      QUARKUS_BANNER_ENABLED: 'false',
      QUARKUS_LOG_LEVEL: 'WARN',
      QUARKUS_HTTP_ACCESS_LOG_ENABLED: 'false',
      APICURIO_STORAGE_KIND: 'sql',
      APICURIO_STORAGE_SQL_KIND: 'postgresql',
      APICURIO_DATASOURCE_URL: `jdbc:postgresql://127.0.0.1:${database.port}/${database.name}`,
      APICURIO_DATASOURCE_USERNAME: database.user,
      APICURIO_DATASOURCE_PASSWORD: database.password,
      APICURIO_DATASOURCE_JDBC_INITIAL_SIZE: '2',
      APICURIO_DATASOURCE_JDBC_MIN_SIZE: '2',
      APICURIO_DATASOURCE_JDBC_MAX_SIZE: '10',
    },
    stopSignal: 'SIGTERM',
    isReady: async () => (await fetch(`${registryUrl(port)}/subjects`)).ok,
    onCrash,
  })
}

/** The address of the registry's Confluent API. */
export function registryUrl(port: number): string {
  return `http://127.0.0.1:${port}/apis/ccompat/v7`
}

function runnerJar(folder: string): string {
  try {
    const jar = readdirSync(folder).find((file) => file.endsWith('-runner.jar'))
    if (jar) return join(folder, jar)
  } catch {}
  throw new StackFault(`The schema registry is not in ${folder}: node stack/setup.mjs`)
}
