import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, expect, test } from 'vitest'
import { makeDataDir } from '../support/infra.ts'
import { until } from '../support/until.ts'

const dataDir = makeDataDir()
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

/** A minimal test run: it starts a process, records it, and waits. */
const runner = `
import { spawn } from 'node:child_process'
import { recordPid } from '${join(import.meta.dirname, '../../stack/infra/pid-records.ts')}'
import { startReaper } from '${join(import.meta.dirname, '../support/reaper.ts')}'
const dataDir = process.argv.at(-1)
startReaper(dataDir)
const server = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' })
recordPid(dataDir, 'server', server.pid)
console.log(server.pid)
setInterval(() => {}, 1000)
`

test('a test run that is killed leaves no process and no folder behind', async () => {
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', runner, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await Promise.race([
    new Promise<string[]>((resolve) => {
      createInterface(child.stdout).once('line', (text) => resolve([text]))
    }),
    new Promise<never>((_, reject) => {
      child.once('exit', (code) => reject(new Error(`the runner ended with ${code}`)))
    }),
  ])
  const pid = Number(line)
  expect(isRunning(pid)).toBe(true)
  child.kill('SIGKILL')
  await until(async () => !isRunning(pid), 'the process of the run has ended')
  await until(async () => !existsSync(dataDir), 'its folder is gone')
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
