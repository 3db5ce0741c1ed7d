import { join, resolve } from 'node:path'
import { loadEnvFile } from 'node:process'

const root = join(import.meta.dirname, '..')

/** Filled by stack/setup.mjs. */
export const jarsDir = join(root, '.data', 'jars')

export interface StackSettings {
  root: string
  /** STACK_DATA_DIR, default `.data`. */
  dataDir: string
  /**
   * Data of the servers. Simulated data have a folder of their own: with real credentials the history begins
   * empty, and no simulated track is looked up at Spotify.
   */
  storeDir: string
  jarsDir: string
  /** File with addresses and credentials for services and commands. */
  infraEnvFile: string
  /** True without SPOTIFY_CLIENT_ID. */
  simulated: boolean
}

/** Reads `.env` into the environment, which takes precedence, and returns the stack's settings. */
export function readStackSettings(): StackSettings {
  try {
    loadEnvFile(join(root, '.env'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const dataDir = resolve(root, process.env.STACK_DATA_DIR || '.data')
  const simulated = !process.env.SPOTIFY_CLIENT_ID
  return {
    root,
    dataDir,
    storeDir: simulated ? join(dataDir, 'simulated') : dataDir,
    jarsDir,
    infraEnvFile: join(dataDir, 'infra.env'),
    simulated,
  }
}
