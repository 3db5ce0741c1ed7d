import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { processIdentity } from './process-identity.ts'

/**
 * The children of a launcher, one file each in `<dataDir>/run`: so that after the launcher was killed
 * the next one finds what it left running. A record holds the pid and the process' identity, so a
 * stranger that got the same pid later is never touched.
 */
interface PidRecord {
  pid: number
  identity: string
}

/** Grace between the polite signal and SIGKILL for what a killed launcher left behind. */
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

/** Stops every recorded process that still runs, forgets them all, and names those it stopped. */
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

/** Null for a file that has just gone, or is none of ours. */
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
  // SIGCONT: a stopped process would never see the SIGTERM. To Postgres SIGTERM means "when the last
  // client has left"; SIGINT means now, and to the Java servers and Node it means the same as SIGTERM.
  for (const signal of ['SIGINT', 'SIGCONT'] as const) signalProcess(pid, signal)
  while (runs() && performance.now() < deadline) await delay(50)
  while (runs()) {
    signalProcess(pid, 'SIGKILL')
    await delay(50)
  }
  return true
}

/** Ignores a process that ended meanwhile. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
