import { access, constants, stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe } from '../fault.ts'
import type { Check, Notes } from './check.ts'
import type { Finding } from './report.ts'

const root = join(import.meta.dirname, '..', '..')
const gibibyte = 2 ** 30

export const diskCheck: Check = {
  name: 'disk',
  looksAt: "space left where this machine keeps data, and where the archiver's objects grow",
  withinMs: 5_000,
  hint: 'Look at it with df -h.',
  async run({ env }, notes) {
    const dataDir = resolve(root, env.STACK_DATA_DIR || '.data')
    // A container or an operator's laptop may have no local servers, and so no data folder.
    if (await exists(dataDir)) await noteSpace('data folder', dataDir, notes)
    await noteSpace('spool folder', env.ARCHIVE_SPOOL_DIR || tmpdir(), notes)
  },
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function noteSpace(subject: string, folder: string, notes: Notes): Promise<void> {
  try {
    if (!(await stat(folder)).isDirectory()) throw new Error('it is no folder')
    await access(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    notes.fail(subject, `${folder}: ${describe(error)}`, 'Make it, and let the service write there.')
    return
  }
  const { bavail, blocks, bsize, ffree, files } = await statfs(folder)
  const verdict = judgeSpace({
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    freeFiles: ffree,
    totalFiles: files,
  })
  notes.add({ ...verdict, subject, text: `${folder}: ${verdict.text}` })
}

/** Numbers of a file system. One without a limit of files counts 0 files. */
export interface Space {
  freeBytes: number
  totalBytes: number
  freeFiles: number
  totalFiles: number
}

const warnBelow = 0.1
const failBelow = 0.02

/** Warns below a tenth; below a fiftieth the next segment or object may not fit. */
export function judgeSpace({
  freeBytes,
  totalBytes,
  freeFiles,
  totalFiles,
}: Space): Omit<Finding, 'subject'> {
  const share = totalBytes > 0 ? freeBytes / totalBytes : 1
  const fileShare = totalFiles > 0 ? freeFiles / totalFiles : 1
  const least = Math.min(share, fileShare)
  const percent = `${Math.floor(share * 100)} % free (${(freeBytes / gibibyte).toFixed(1)} GiB)`
  const text = fileShare < share ? `${percent}, ${Math.floor(fileShare * 100)} % of the files` : percent
  if (least >= warnBelow) return { state: 'ok', text, hint: null }
  return {
    state: least < failBelow ? 'fail' : 'warn',
    text,
    hint: 'Free some space: when it is full Kafka and Postgres stop, and the archiver cannot put.',
  }
}
