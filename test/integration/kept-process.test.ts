import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { keepAllRunning } from '../../stack/kept-process.ts'
import { makeDataDir } from '../support/infra.ts'
import { running } from '../support/launcher.ts'

/** Keeps a Node program running that prints `up` when it serves. */
function keep(program: string) {
  const dataDir = makeDataDir()
  const events: string[] = []
  const spec = {
    name: 'program',
    dataDir,
    command: process.execPath,
    args: ['--eval', program],
    stopSignal: 'SIGTERM' as const,
    isReady: (log: () => string) => log().includes('up'),
  }
  const kept = keepAllRunning([spec], {
    starting: () => events.push('starting'),
    up: () => events.push('up'),
    down: (_, fault) => events.push(fault.message.split('. Log')[0] ?? ''),
    misconfigured: (fault) => events.push(`misconfigured: ${fault.message.split('\n').at(-1)?.trim()}`),
  })
  onTestFinished(async () => {
    await kept.stop()
    rmSync(dataDir, { recursive: true, force: true })
  })
  const pid = (): number => JSON.parse(readFileSync(join(dataDir, 'run', 'program.pid'), 'utf8')).pid
  return { kept, events, pid }
}

test('a process that ends by itself is started again', async () => {
  const { kept, events, pid } = keep('console.log("up"); setInterval(() => {}, 1000)')
  await kept.firstUp
  process.kill(pid(), 'SIGKILL')
  await vi.waitUntil(() => events.length === 5, { timeout: 20_000 })
  expect(events).toEqual(['starting', 'up', 'program was ended by SIGKILL', 'starting', 'up'])
})

test('a process whose configuration is wrong is not started again, and its last words are told', async () => {
  const { events } = keep('console.error("HTTP_PORT: is missing"); process.exit(2)')
  await vi.waitUntil(() => events.length === 2, { timeout: 20_000 })
  expect(events).toEqual(['starting', 'misconfigured: HTTP_PORT: is missing'])
})

test('stopping while it waits for its next start leaves nothing that starts later', async () => {
  const { kept, events } = keep('process.exit(1)')
  await vi.waitUntil(() => events.length === 2, { timeout: 20_000 })
  await kept.stop()
  await expect(vi.waitUntil(() => events.length > 2, { timeout: 2_000 })).rejects.toThrow()
})

test('stopping ends the process', async () => {
  const { kept, pid } = keep('console.log("up"); setInterval(() => {}, 1000)')
  await kept.firstUp
  const last = pid()
  await kept.stop()
  expect(running([last])).toEqual([])
})
