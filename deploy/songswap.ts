import { withSimulators } from '../simulators/stand-in.ts'

/** The `songswap` command in a container, with the same settings as the services, including the demo's simulators. */
Object.assign(process.env, withSimulators(process.env))
await import('../cli/songswap.ts')
