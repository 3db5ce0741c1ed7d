import type { RerunOptions } from '../../operations/rerun/run.ts'
import type { CliContext } from '../command.ts'
import type { Progress } from '../terminal/progress.ts'

/** Runs an operation that Ctrl-C stops, with a line that reports how far it is. */
export async function watch<R>(
  context: CliContext,
  { execute, unit }: { execute: boolean; unit: string },
  operation: (options: RerunOptions) => Promise<R>,
): Promise<R> {
  const { out } = context
  const line = progressLine(context, unit)
  try {
    return await operation({
      ...{ execute, signal: context.interruption() },
      onProgress: line.report,
      onWait: (why) => out.say(`Waiting: ${why}`),
      onCutShort: (run, resume) => out.say(`Run ${run} was cut short. Go on with:\n  ${resume}`),
    })
  } finally {
    line.end()
  }
}

function progressLine(context: CliContext, unit: string) {
  let progress: Progress | null = null
  let reported = 0
  const end = () => {
    progress?.end()
    progress = null
    reported = 0
  }
  return {
    report(done: number, total: number | null) {
      // A pass over the range begins again at 0.
      if (done < reported) end()
      progress ??= context.progress({ total, unit })
      progress.add(done - reported)
      reported = done
    },
    end,
  }
}
