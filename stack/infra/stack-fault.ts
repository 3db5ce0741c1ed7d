/**
 * A fault of the local stack that the person at the terminal can act on. Its message is complete and is printed
 * without a stack trace.
 */
export class StackFault extends Error {
  override name = 'StackFault'
  /** Of the process that ended, or null if it did not exit by itself. */
  readonly exitCode: number | null

  constructor(message: string, exitCode: number | null = null) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Runs a launcher. A {@link StackFault} is printed and becomes exit code 1; any other error is a bug. */
export async function reportingFaults(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    if (!(error instanceof StackFault)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
