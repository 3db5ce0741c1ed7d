import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { lockFolder } from '../../stack/infra/folder-lock.ts'
import { stopOrphans } from '../../stack/infra/pid-records.ts'
import { startInfra } from '../../stack/infra/start-infra.ts'
import { jarsDir } from '../../stack/settings.ts'
import { startReaper } from './reaper.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The settings that point at the servers of this test run (README, Configuration). */
    infra: Record<string, string>
    /** Name of a migrated database, which worlds copy. */
    template: string
  }
}

export interface TestInfra {
  env: Record<string, string>
  stop(): Promise<void>
}

const folderPrefix = 'songswap-test-'

/**
 * The servers of a test run: those in the file that TEST_INFRA_ENV names (an infra.env of `npm run infra`, for fast
 * iteration), else its own on free ports, which end with the run.
 */
export async function openTestInfra(): Promise<TestInfra> {
  const file = process.env.TEST_INFRA_ENV
  if (file) {
    const env = parseEnv(readFileSync(file, 'utf8')) as Record<string, string>
    return { env, stop: async () => {} }
  }
  await removeAbandonedFolders()
  const dataDir = makeDataDir()
  const reaper = startReaper(dataDir)
  const infra = await startInfra({
    dataDir,
    jarsDir,
    ports: 'free',
    durable: false,
    onCrash: (fault) => console.error(fault.message),
  })
  return {
    env: infra.env,
    async stop() {
      await infra.stop()
      rmSync(dataDir, { recursive: true, force: true })
      reaper.dismiss()
    },
  }
}

/** Makes a folder for the data of servers. Other users may enter it, as Postgres may run as another user. */
export function makeDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), folderPrefix))
  chmodSync(dataDir, 0o711)
  return dataDir
}

/** A folder for brokers that a test file starts by itself. */
export interface BrokerFolder {
  path: string
  /** Call it when the brokers have ended. */
  remove(): void
}

/** As {@link makeDataDir}. Other test runs leave the folder alone, and it is removed if this process is killed. */
export function makeBrokerFolder(): BrokerFolder {
  const path = makeDataDir()
  const lock = lockFolder(path)
  const reaper = startReaper(path)
  return {
    path,
    remove() {
      lock.release()
      rmSync(path, { recursive: true, force: true })
      reaper.dismiss()
    },
  }
}

/** Stops the servers of killed test runs and removes their folders. Folders of running ones are locked. */
async function removeAbandonedFolders(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(folderPrefix))) {
    const folder = join(tmpdir(), name)
    try {
      const lock = lockFolder(folder)
      await stopOrphans(folder)
      lock.release()
    } catch {
      continue
    }
    rmSync(folder, { recursive: true, force: true })
  }
}
