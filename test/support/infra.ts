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
    /** A database that is migrated, to be copied. */
    template: string
  }
}

export interface TestInfra {
  env: Record<string, string>
  stop(): Promise<void>
}

const folderPrefix = 'songswap-test-'

/**
 * The servers of a test run: those that the file named by TEST_INFRA_ENV points at (an infra.env of
 * `npm run infra`, for fast iteration), else ones of its own on free ports, gone at the end.
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

/** A folder for the data of servers, which others may enter: Postgres may run as another user. */
export function makeDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), folderPrefix))
  chmodSync(dataDir, 0o711)
  return dataDir
}

/** A folder for brokers that a test file starts by itself. */
export interface BrokerFolder {
  path: string
  /** To be called when the brokers have ended. */
  remove(): void
}

/** As {@link makeDataDir}; no other test run takes it for abandoned, and it goes when this process is killed. */
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

/** What a killed test run left: its servers are stopped, its folder goes. Those of running ones are locked. */
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
