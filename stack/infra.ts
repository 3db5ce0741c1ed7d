import { relative } from 'node:path'
import { writeEnvFile } from './infra/env-file.ts'
import { reportingFaults, type StackFault } from './infra/stack-fault.ts'
import { type Infra, type InfraProgress, startInfra } from './infra/start-infra.ts'
import { watchForInterruption } from './interruption.ts'
import { projectFolders } from './project-folders.ts'

/** `npm run infra`: the four servers in the foreground, until Ctrl-C or until one of them ends. */
await reportingFaults(async () => {
  let infra: Infra | undefined
  const interruption = watchForInterruption(() => void infra?.killAll())
  const { promise: crashed, resolve: onCrash } = Promise.withResolvers<StackFault>()
  infra = await startInfra({
    dataDir: projectFolders.data,
    jarsDir: projectFolders.jars,
    ports: 'documented',
    signal: interruption.signal,
    onCrash,
    onProgress: (progress) => console.log(describe(progress)),
  })
  try {
    writeEnvFile(projectFolders.infraEnvFile, infra.env)
    console.log(addresses(infra.env))
    const fault = await Promise.race([crashed, interruption.happened])
    console.log('Stopping …')
    if (fault) throw fault
  } finally {
    await infra.stop()
    interruption.release()
  }
})

function describe(progress: InfraProgress): string {
  switch (progress.type) {
    case 'recovered':
      return `Stopped what a killed run had left: ${progress.names.join(', ')}`
    case 'starting':
      return `${progress.name.padEnd(10)}starting`
    case 'up':
      return `${progress.name.padEnd(10)}up after ${(progress.tookMs / 1000).toFixed(1)} s`
  }
}

function addresses(env: Record<string, string>): string {
  return [
    '',
    `Kafka      ${env.KAFKA_BROKERS}`,
    `Registry   ${env.SCHEMA_REGISTRY_URL}`,
    `S3         ${env.S3_ENDPOINT}  bucket ${env.S3_BUCKET}`,
    `Postgres   ${env.DATABASE_URL?.replace(/:[^:@/]+@/, ':…@')}`,
    `All of it, with the passwords: ${relative(process.cwd(), projectFolders.infraEnvFile)}. Ctrl-C stops.`,
  ].join('\n')
}
