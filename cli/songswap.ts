#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import { exitCodes } from '../lib/lifecycle.ts'
import packageFile from '../package.json' with { type: 'json' }
import { addCommands, examples, helpWidth, notes } from './command.ts'
import { commands } from './commands.ts'
import { loadEnvFiles } from './env-files.ts'
import { explain } from './fault.ts'

/** The operator's program: parses the command line, runs one command, and turns its end into an exit code. */
async function main(argv: string[]): Promise<number> {
  const program = new Command('songswap')
    .description("The operator's commands of songswap-stream.")
    .version(packageFile.version, '-V, --version', 'print the version')
    .configureOutput({ getOutHelpWidth: () => helpWidth, getErrHelpWidth: () => helpWidth })
    .showHelpAfterError('(add --help for what is possible)')
    .exitOverride()
  await addCommands(program, commands, argv)
  examples(program, ['songswap status', 'songswap users connect', 'songswap users list --json'])
  notes(program, [
    "Settings come from the environment, then from .env and .data/infra.env in the project's folder.",
    'Exit codes: 0 done, 1 a fault, 2 wrong usage or settings.',
  ])
  try {
    loadEnvFiles()
    await program.parseAsync(argv, { from: 'user' })
    return Number(process.exitCode ?? exitCodes.stopped)
  } catch (error) {
    // Commander has said what was wrong by then.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.stopped : exitCodes.usage
    const { text, exitCode } = explain(error)
    console.error(text)
    return exitCode
  }
}

// A reader that had enough (head, less) closes the pipe: that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exitCodes.stopped : exitCodes.fault)
})

// What a command gave up waiting for may still hold the process (a client that reconnects): it ends here.
main(process.argv.slice(2)).then((code) => process.exit(code))
