#!/usr/bin/env node
import { exitCodes } from '../lib/lifecycle.ts'
import { loadEnvFiles } from './env-files.ts'
import { runProgram } from './program.ts'
import { explain } from './terminal/explain.ts'
import { ownTerminal } from './terminal/terminal.ts'

async function main(argv: string[]): Promise<number> {
  try {
    loadEnvFiles()
  } catch (error) {
    const { text, exitCode } = explain(error)
    console.error(text)
    return exitCode
  }
  return runProgram(argv, ownTerminal())
}

// A reader such as head or less may close the pipe early, which is not a fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exitCodes.stopped : exitCodes.fault)
})

// A client that still reconnects would keep the process alive after the command has ended.
main(process.argv.slice(2)).then((code) => process.exit(code))
