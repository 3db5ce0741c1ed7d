import { readDiscordOptions } from './discord/env.ts'
import { startDiscordSimulator } from './discord/simulator.ts'
import { runSimulator } from './run.ts'

await runSimulator({
  name: 'discord-simulator',
  readOptions: readDiscordOptions,
  start: startDiscordSimulator,
})
