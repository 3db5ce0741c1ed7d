import { relative } from 'node:path'
import { writeEnvFile } from './infra/env-file.ts'
import { reportingFaults, type StackFault } from './infra/stack-fault.ts'
import { type Infra, startInfra } from './infra/start-infra.ts'
import { watchForInterruption } from './interruption.ts'
import { readStackSettings } from './settings.ts'
import { describeInfra } from './view/addresses.ts'
import { toInfraLine } from './view/infra-line.ts'

/** `npm run infra`: the four servers in the foreground, until Ctrl-C or the end of one of them. */
await reportingFaults(async () => {
  const settings = readStackSettings()
  let infra: Infra | undefined
  const interruption = watchForInterruption(() => void infra?.killAll())
  const { promise: crashed, resolve: onCrash } = Promise.withResolvers<StackFault>()
  try {
    infra = await startInfra({
      ...settings,
      ports: 'documented',
      signal: interruption.signal,
      onCrash,
      onProgress: (progress) => console.log(toInfraLine(progress)),
    })
    writeEnvFile(settings.infraEnvFile, infra.env)
    console.log(`\n${describeInfra(infra.env)}`)
    console.log(`With the passwords: ${relative(process.cwd(), settings.infraEnvFile)}. Ctrl-C stops.`)
    const fault = await Promise.race([crashed, interruption.happened])
    console.log('Stopping …')
    if (fault) throw fault
  } finally {
    await infra?.stop()
    interruption.release()
  }
})
