import { runSimulator } from './run.ts'
import { readSpotifyOptions } from './spotify/env.ts'
import { startSpotifySimulator } from './spotify/simulator.ts'

await runSimulator({
  name: 'spotify-simulator',
  readOptions: readSpotifyOptions,
  start: startSpotifySimulator,
})
