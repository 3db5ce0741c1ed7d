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
   * What the servers store. What is simulated lives in a folder of its own: the day that real
   * credentials are set begins with an empty history, and no simulated track is looked up at Spotify.
   */
  storeDir: string
  jarsDir: string
  /** Addresses and credentials for services and commands. */
  infraEnvFile: string
  /** No SPOTIFY_CLIENT_ID is set. */
  simulated: boolean
}

/** Reads `.env` into the environment, which wins over it, and tells where things are. */
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
