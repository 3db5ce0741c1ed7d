/**
 * A fault of the local stack that the person at the terminal can act on. Its message is the whole
 * story, fit to be printed without a stack trace.
 */
export class StackFault extends Error {
  override name = 'StackFault'
  /** Of the process whose end it is, when it ended with one. */
  readonly exitCode: number | null

  constructor(message: string, exitCode: number | null = null) {
    super(message)
    this.exitCode = exitCode
  }
}

/** Runs a launcher; a {@link StackFault} becomes its one line and exit code 1, anything else is a bug. */
export async function reportingFaults(main: () => Promise<void>): Promise<void> {
  try {
    await main()
  } catch (error) {
    if (!(error instanceof StackFault)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
