import type { RerunOptions } from '../../operations/rerun/run.ts'
import type { CliContext } from '../command.ts'

/** Runs an operation that Ctrl-C stops, with a line that reports how far it is. */
export function watch<R>(
  context: CliContext,
  { execute, unit }: { execute: boolean; unit: string },
  operation: (options: RerunOptions) => Promise<R>,
): Promise<R> {
  const { out } = context
  return operation({
    ...{ execute, signal: context.interruption(), onProgress: context.onProgress(unit) },
    onWait: (why) => out.say(`Waiting: ${why}`),
    onCutShort: (run, resume) => out.say(`Run ${run} was cut short. Go on with:\n  ${resume}`),
  })
}
