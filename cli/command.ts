import type { Command } from 'commander'
import { Help } from 'commander'
import { openLog } from '../lib/log.ts'
import { within } from '../lib/time-limit.ts'
import type { OnProgress } from '../operations/operator.ts'
import { Operator } from '../operations/operator.ts'
import type { Output } from './terminal/output.ts'
import { openOutput } from './terminal/output.ts'
import { ProgressLine } from './terminal/progress.ts'
import type { Terminal } from './terminal/terminal.ts'

/** A command as the help lists it. Its file is loaded only when the command is called. */
export type Entry = {
  /** Name and arguments, e.g. `pause <user>`. */
  usage: string
  summary: string
} & ({ load: () => Promise<{ define: Define }> } | Group)

/** Defines the description, the options and the work of a command. */
export type Define = (command: Command, run: Run) => void

/** A command that only contains others. */
export interface Group {
  commands: readonly Entry[]
  examples: readonly string[]
  notes?: readonly string[]
}

/** A run of the program: its terminal and its exit code. */
export interface Run {
  terminal: Terminal
  exitCode: number
}

/** What a command works with. */
export interface CliContext {
  operator: Operator
  out: Output
  terminal: Terminal
  /**
   * Aborted by Ctrl-C or SIGTERM, so that a command finishes its current step and reports how far it came. The second
   * Ctrl-C ends the process at once, as does the first one if the command never called this.
   */
  interruption(): AbortSignal
  /** Shows the progress of an operation. `unit` is in the plural: `records`. */
  onProgress(unit: string): OnProgress
}

/**
 * Does the command's work and returns an exit code.
 * @throws errors for `explain`: an {@link OperatorFault} where the command knows what to do next
 */
export type Work<O> = (context: CliContext, options: O, ...args: string[]) => Promise<number>

/** Time limit for closing connections; by then the command has reported everything. */
const closeWithinMs = 1_000

/** Adds commands to their parent, and loads only those that the command line names. */
export async function addCommands(
  parent: Command,
  { entries, argv, run }: { entries: readonly Entry[]; argv: readonly string[]; run: Run },
): Promise<void> {
  for (const entry of entries) {
    const command = parent.command(entry.usage).description(entry.summary)
    if (!argv.includes(command.name())) continue
    if ('load' in entry) (await entry.load()).define(command, run)
    else {
      await addCommands(command, { entries: entry.commands, argv, run })
      examples(command, entry.examples)
      if (entry.notes) notes(command, entry.notes)
    }
  }
}

/** Sets the work of a command, and adds `--json`. */
export function act<O extends object>(command: Command, run: Run, work: Work<O>): void {
  command.option('--json', 'machine-readable output').action(async () => {
    const options = command.opts<O & { json?: true }>()
    const { terminal } = run
    // The error path reports a fault once, so nothing is logged.
    const operator = new Operator({ env: terminal.env, log: openLog('songswap', 'silent') })
    const line = new ProgressLine(terminal.stderr)
    const context: CliContext = {
      operator,
      terminal,
      out: openOutput(terminal, { json: options.json ?? false, line }),
      onProgress: (unit) => line.of(unit),
      interruption() {
        const stop = new AbortController()
        const off = terminal.onInterrupt(() => stop.abort())
        operator.scope.defer('interruption', off)
        return stop.signal
      },
    }
    try {
      run.exitCode = await work(context, options, ...command.args)
    } finally {
      line.clear()
      await within(closeWithinMs, operator.close())
    }
  })
}

/** Width of the help, in columns. */
export const helpWidth = 80

/** Adds paragraphs to the end of a command's help. */
export function notes(command: Command, paragraphs: readonly string[]): void {
  command.addHelpText(
    'after',
    paragraphs.map((text) => `\n${new Help().boxWrap(text, helpWidth)}`).join('\n'),
  )
}

/** Adds examples to a command's help. */
export function examples(command: Command, lines: readonly string[]): void {
  command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`)
}
