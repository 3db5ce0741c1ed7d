#!/usr/bin/env node
/**
 * The `songswap` command. It is plain JavaScript, because the machine's own Node may be older than the 24 that the
 * program needs; then the project's Node (node_modules/.bin/node) runs the program.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const neededMajor = 24
const program = fileURLToPath(new URL('songswap.ts', import.meta.url))
const codeCache = fileURLToPath(new URL('../node_modules/.cache/songswap', import.meta.url))
const projectNode = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url))

if (Number.parseInt(process.versions.node, 10) >= neededMajor) {
  module.enableCompileCache(codeCache)
  await import('./songswap.ts')
} else if (existsSync(projectNode)) {
  runUnder(projectNode)
} else {
  console.error(
    `songswap needs Node ${neededMajor} or newer, this is ${process.versions.node}.\n  Run npm install in the project's folder: it brings its own.`,
  )
  process.exitCode = 1
}

/** The child shares the terminal, so it gets Ctrl-C itself, and this process ends when the child does. */
function runUnder(node) {
  const env = { NODE_COMPILE_CACHE: codeCache, ...process.env }
  const child = spawn(node, [program, ...process.argv.slice(2)], { stdio: 'inherit', env })
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    console.error(`songswap: ${node} does not start: ${error.message}`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0)
  })
}
