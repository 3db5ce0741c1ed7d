import { withSimulators } from '../simulators/stand-in.ts'

/** The `songswap` command in a container: sees what the services see, the demo's simulators included. */
Object.assign(process.env, withSimulators(process.env))
await import('../cli/songswap.ts')
