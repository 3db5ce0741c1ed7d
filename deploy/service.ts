import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { openLog } from '../lib/log.ts'
import { withSimulators } from '../simulators/stand-in.ts'

const services = join(import.meta.dirname, '..', 'services')

/**
 * `npm run service -- NAME` runs one service with the process's environment. In the containers' demo it points the
 * service at the simulators, and logs that.
 */
const names = readdirSync(services).filter((name) => existsSync(join(services, name, 'main.ts')))
const [name] = process.argv.slice(2)
if (name && names.includes(name)) {
  const env = withSimulators(process.env)
  if (env !== process.env) {
    openLog(name, 'warn').warn(
      'DEMO: SPOTIFY_CLIENT_ID is not set, so the listeners are simulated and nothing here is real',
    )
    Object.assign(process.env, env)
  }
  await import(`../services/${name}/main.ts`)
} else {
  console.error(`${name ? `There is no service "${name}". ` : ''}npm run service -- ${names.join(' | ')}`)
  process.exitCode = 2
}
