import type { Command } from 'commander'
import { Help } from 'commander'
import type { Env } from '../lib/config.ts'
import { withinMs } from '../lib/lifecycle.ts'
import type { Logger } from '../lib/log.ts'
import { openLog } from '../lib/log.ts'
import { Scope } from '../lib/scope.ts'
import type { Output } from './output.ts'
import { openOutput } from './output.ts'

/** A command as the help lists it; the rest is loaded when it is called. */
export interface Entry {
  /** Name and arguments, e.g. `pause <user>`. */
  usage: string
  summary: string
  load: () => Promise<{ define: (command: Command, argv: readonly string[]) => void | Promise<void> }>
}

/** What a command works with. */
export interface CliContext {
  env: Env
  scope: Scope
  log: Logger
  out: Output
}

/**
 * Does the command's work; returns an exit code.
 * @throws what `explain` words: a {@link CliFault} where the command knows what to do next
 */
export type Work<O> = (context: CliContext, options: O, ...args: string[]) => Promise<number>

/** Bound of the release at the end; by then the command has said all that it had to say. */
const closeWithinMs = 1_000

/** Adds commands to their parent; only those that the command line names are loaded. */
export async function addCommands(
  parent: Command,
  entries: readonly Entry[],
  argv: readonly string[],
): Promise<void> {
  for (const { usage, summary, load } of entries) {
    const command = parent.command(usage).description(summary)
    if (argv.includes(command.name())) await (await load()).define(command, argv)
  }
}

/** Gives a command its work, and `--json`. */
export function act<O extends object>(command: Command, work: Work<O>): void {
  command.option('--json', 'machine-readable output').action(async () => {
    const options = command.opts<O & { json?: true }>()
    // What goes wrong is told once, to a person, by the error path; not in log lines beside it.
    const log = openLog('songswap', 'silent')
    const scope = new Scope(log)
    const out = openOutput({ json: options.json ?? false })
    try {
      process.exitCode = await work({ env: process.env, scope, log, out }, options, ...command.args)
    } finally {
      await withinMs(scope.close(), closeWithinMs)
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
