import { setTimeout as sleep } from 'node:timers/promises'
import type { Env } from '../lib/config.ts'
import { messageOf } from '../lib/errors.ts'
import { openLog } from '../lib/log.ts'
import { addSimulatedUsers, showDeadLetter } from './demo-users.ts'
import { readSimulatorAddresses, simulatorEnv } from './stand-in.ts'

const answersWithinMs = 60_000

/** Adds the simulator's listeners as users once it answers. Users of earlier runs stay as they are. */
async function addDemoUsers(spotifyUrl: string, env: Env): Promise<number> {
  const deadline = performance.now() + answersWithinMs
  while (!(await answers(`${spotifyUrl}/_sim/stats`)) && performance.now() < deadline) await sleep(200)
  const count = await addSimulatedUsers(spotifyUrl, env)
  await showDeadLetter(spotifyUrl)
  return count
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    (response) => response.ok,
    () => false,
  )
}

/**
 * The demo's containers: `spotify`, `discord`, `users`. Each ends at once with exit code 0 when real credentials
 * replace it.
 */
async function main(part: string | undefined, env: Env): Promise<void> {
  const log = openLog(`demo-${part}`, 'info')
  const at = readSimulatorAddresses(env)
  const isReplaced = part === 'discord' && (env.DISCORD_WEBHOOK_URL || env.DISCORD_WEBHOOK_URL_FILE)
  if (!at || isReplaced) {
    log.info({ reason: at ? 'a Discord webhook is set' : 'SPOTIFY_CLIENT_ID is set' }, 'not_needed')
    return
  }
  Object.assign(process.env, simulatorEnv(env))
  if (part === 'spotify') await import('./spotify-main.ts')
  else if (part === 'discord') await import('./discord-main.ts')
  else if (part === 'users') log.info({ users: await addDemoUsers(at.spotify, env) }, 'demo_users_added')
  else throw new Error('node simulators/demo.ts spotify | discord | users')
}

main(process.argv[2], process.env).catch((error: unknown) => {
  console.error(messageOf(error))
  process.exitCode = 1
})
