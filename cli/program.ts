import { Command, CommanderError } from 'commander'
import { exitCodes } from '../lib/lifecycle.ts'
import packageFile from '../package.json' with { type: 'json' }
import type { Run } from './command.ts'
import { addCommands, examples, helpWidth, notes } from './command.ts'
import { commands } from './commands.ts'
import { explain } from './terminal/explain.ts'
import type { Terminal } from './terminal/terminal.ts'

/**
 * The operator's program: parses the command line and runs one command.
 *
 * @param argv without the names of Node and of the program
 * @returns an exit code
 */
export async function runProgram(argv: readonly string[], terminal: Terminal): Promise<number> {
  const run: Run = { terminal, exitCode: exitCodes.stopped }
  const program = new Command('songswap')
    .description("The operator's commands of songswap-stream.")
    .version(packageFile.version, '-V, --version', 'print the version')
    .configureOutput({
      getOutHelpWidth: () => helpWidth,
      getErrHelpWidth: () => helpWidth,
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
    })
    .showHelpAfterError('(add --help for what is possible)')
    .exitOverride()
  await addCommands(program, { entries: commands, argv, run })
  examples(program, ['songswap status', 'songswap users connect', 'songswap users list --json'])
  notes(program, [
    "Settings come from the environment, then from .env and .data/infra.env in the project's folder.",
    'Exit codes: 0 done, 1 a fault, 2 wrong usage or settings.',
  ])
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return run.exitCode
  } catch (error) {
    // Commander has printed the fault already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.stopped : exitCodes.usage
    const { text, exitCode } = explain(error)
    terminal.stderr.write(`${text}\n`)
    return exitCode
  }
}
