import { styleText } from 'node:util'
import type { ProgressLine } from './progress.ts'
import type { Screen, Terminal } from './terminal.ts'

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

/** The output of a command: results go to standard output, other messages to standard error. */
export interface Output {
  /** Whether `--json` was given: then standard output holds only JSON. */
  readonly json: boolean
  /** Width of a line in columns: the terminal's, but at least 80. */
  readonly width: number
  print(text: string): void
  printJson(value: unknown): void
  /** Prints a document on one line, for commands that report several things one after another. */
  printJsonLine(value: unknown): void
  say(text: string): void
  /** Styles the text on a terminal, but never with NO_COLOR. */
  style(style: Style, text: string): string
}

const leastWidth = 80

/** @param line cleared before anything is written */
export function openOutput(
  { stdout, stderr }: Terminal,
  { json, line }: { json: boolean; line: ProgressLine },
): Output {
  const write = (screen: Screen, text: string) => {
    line.clear()
    screen.write(`${text}\n`)
  }
  return {
    json,
    width: Math.max(leastWidth, stdout.columns ?? 0),
    print: (text) => write(stdout, text),
    printJson: (value) => write(stdout, JSON.stringify(value, null, 2)),
    printJsonLine: (value) => write(stdout, JSON.stringify(value)),
    say: (text) => write(stderr, text),
    style: (style, text) => styleText(style, text, { stream: stdout as NodeJS.WriteStream }),
  }
}
