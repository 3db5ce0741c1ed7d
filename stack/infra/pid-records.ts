import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { processIdentity } from './process-identity.ts'

/**
 * One child of a launcher, a file in `<dataDir>/run`. After the launcher is killed, the next one finds there
 * what still runs. The identity protects another process that has got the same pid since.
 */
interface PidRecord {
  pid: number
  identity: string
}

/** Time between SIGINT and SIGKILL for processes that a killed launcher left. */
const orphanGraceMs = 10_000

const recordFile = (dataDir: string, name: string) => join(dataDir, 'run', `${name}.pid`)

export function recordPid(dataDir: string, name: string, pid: number): void {
  const identity = processIdentity(pid)
  if (identity === null) return
  mkdirSync(join(dataDir, 'run'), { recursive: true })
  const record: PidRecord = { pid, identity }
  const file = recordFile(dataDir, name)
  writeFileSync(`${file}.new`, JSON.stringify(record))
  renameSync(`${file}.new`, file)
}

export function forgetPid(dataDir: string, name: string): void {
  rmSync(recordFile(dataDir, name), { force: true })
}

/** Stops every recorded process that still runs, removes all records, and returns the names of those stopped. */
export async function stopOrphans(dataDir: string): Promise<string[]> {
  const names = recordedNames(dataDir)
  const stopped = await Promise.all(
    names.map(async (name) => {
      const record = readRecord(recordFile(dataDir, name))
      const wasRunning = record !== null && (await stopProcess(record))
      forgetPid(dataDir, name)
      return wasRunning ? [name] : []
    }),
  )
  return stopped.flat()
}

function recordedNames(dataDir: string): string[] {
  try {
    return readdirSync(join(dataDir, 'run'))
      .filter((file) => file.endsWith('.pid'))
      .map((file) => file.slice(0, -'.pid'.length))
  } catch {
    return []
  }
}

/** The record, or null if the file has just gone or is not a record. */
function readRecord(file: string): PidRecord | null {
  try {
    const record: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (typeof record !== 'object' || record === null) return null
    const { pid, identity } = record as Partial<PidRecord>
    return typeof pid === 'number' && typeof identity === 'string' ? { pid, identity } : null
  } catch {
    return null
  }
}

async function stopProcess({ pid, identity }: PidRecord): Promise<boolean> {
  const runs = () => processIdentity(pid) === identity
  if (!runs()) return false
  const deadline = performance.now() + orphanGraceMs
  // SIGINT, as Postgres waits at SIGTERM until its last client leaves; to Java and Node both mean the same.
  // SIGCONT, as a stopped process does not see the other signal.
  for (const signal of ['SIGINT', 'SIGCONT'] as const) signalProcess(pid, signal)
  while (runs() && performance.now() < deadline) await delay(50)
  while (runs()) {
    signalProcess(pid, 'SIGKILL')
    await delay(50)
  }
  return true
}

/** Sends a signal; does nothing if the process has ended. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
