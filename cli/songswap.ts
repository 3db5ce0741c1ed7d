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

// A reader that had enough (head, less) closes the pipe: that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exitCodes.stopped : exitCodes.fault)
})

// A client that reconnects may still hold the process after the command gave up waiting for it: it ends here.
main(process.argv.slice(2)).then((code) => process.exit(code))
