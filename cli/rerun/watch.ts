import type { RerunOptions } from '../../operations/rerun/run.ts'
import type { CliContext } from '../command.ts'

/** The options of a rerun from the terminal: Ctrl-C stops it, and a line shows its progress. */
export function watched(
  context: CliContext,
  { execute, unit }: { execute: boolean; unit: string },
): RerunOptions {
  const { out } = context
  return {
    execute,
    signal: context.interruption(),
    onProgress: context.onProgress(unit),
    onWait: (why) => out.say(`Waiting: ${why}`),
    onCutShort: (run, resume) => out.say(`Run ${run} was cut short. Go on with:\n  ${resume}`),
  }
}
