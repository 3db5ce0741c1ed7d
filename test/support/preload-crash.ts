import { subscribe } from 'node:diagnostics_channel'
import { existsSync, writeFileSync } from 'node:fs'
import { checkpointChannel } from '../../lib/checkpoint.ts'

/**
 * Loaded into one service by the crash-point tests: kills the process with SIGKILL when it first reaches the
 * checkpoint named by CRASH_AT, and leaves the file CRASH_MARK, so that the next process passes it.
 */
const { CRASH_AT, CRASH_MARK } = process.env
if (!CRASH_AT || !CRASH_MARK) throw new Error('CRASH_AT and CRASH_MARK must be set')

subscribe(checkpointChannel, (name) => {
  if (name !== CRASH_AT || existsSync(CRASH_MARK)) return
  writeFileSync(CRASH_MARK, '')
  process.kill(process.pid, 'SIGKILL')
})
