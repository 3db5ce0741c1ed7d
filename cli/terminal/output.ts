import { styleText } from 'node:util'
import type { ProgressLine } from './progress.ts'
import type { Screen, Terminal } from './terminal.ts'

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

/** Where a command speaks: results on standard output, words beside them on standard error. */
export interface Output {
  /** `--json` was given: standard output then holds JSON alone. */
  readonly json: boolean
  /** Columns that a line may take: the terminal's, else 80. */
  readonly width: number
  print(text: string): void
  printJson(value: unknown): void
  /** One document on one line, for commands that report several things one after another. */
  printJsonLine(value: unknown): void
  say(text: string): void
  /** Coloured on a terminal, never with NO_COLOR. */
  style(style: Style, text: string): string
}

const leastWidth = 80

/** @param line taken away before anything is written */
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
