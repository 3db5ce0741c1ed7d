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

/** A command as the help lists it; its file is loaded when it is called. */
export type Entry = {
  /** Name and arguments, e.g. `pause <user>`. */
  usage: string
  summary: string
} & ({ load: () => Promise<{ define: Define }> } | Group)

/** Gives a command its description, options and work. */
export type Define = (command: Command, run: Run) => void

/** A command that only holds others. */
export interface Group {
  commands: readonly Entry[]
  examples: readonly string[]
  notes?: readonly string[]
}

/** The run of the program that a command belongs to: where it speaks, and how it ended. */
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
   * Aborted by Ctrl-C or SIGTERM, so that a command finishes its current step and reports how far it came. A second
   * Ctrl-C ends the process at once, as without this.
   */
  interruption(): AbortSignal
  /** Shows what an operation reports of how far it is. `unit` is in the plural: `records`. */
  onProgress(unit: string): OnProgress
}

/**
 * Does the command's work; returns an exit code.
 * @throws what `explain` words: an {@link OperatorFault} where the command knows what to do next
 */
export type Work<O> = (context: CliContext, options: O, ...args: string[]) => Promise<number>

/** Bound of the release at the end; by then the command has reported everything. */
const closeWithinMs = 1_000

/** Adds commands to their parent; only those that the command line names are loaded. */
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

/** Gives a command its work, and `--json`. */
export function act<O extends object>(command: Command, run: Run, work: Work<O>): void {
  command.option('--json', 'machine-readable output').action(async () => {
    const options = command.opts<O & { json?: true }>()
    const { terminal } = run
    // A fault is reported once, to a person, by the error path; not in log lines beside it.
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

/** Columns of the help. */
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
