import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import type { Terminal } from './terminal.ts'

/** Refresh tokens are shorter than this; other input must not fill the memory. */
const mostCharacters = 16_384

/** Reads a secret from standard input: on a terminal with a prompt and without an echo, else all piped input. */
export function readSecret({ stdin, stderr }: Terminal, prompt: string): Promise<string> {
  return stdin.isTTY ? ask({ stdin, stderr, prompt }) : readAll(stdin)
}

async function readAll(stdin: Terminal['stdin']): Promise<string> {
  stdin.setEncoding('utf8')
  let text = ''
  for await (const chunk of stdin) {
    text += chunk
    if (text.length > mostCharacters) break
  }
  return text.trim()
}

function ask({
  stdin,
  stderr,
  prompt,
}: Pick<Terminal, 'stdin' | 'stderr'> & { prompt: string }): Promise<string> {
  // readline echoes to its output, so that goes nowhere. On close it restores the terminal.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true })
  stderr.write(prompt)
  return new Promise((resolve) => {
    let answer = ''
    lines.once('SIGINT', () => {
      lines.close()
      process.kill(process.pid, 'SIGINT')
    })
    lines.once('line', (line) => {
      answer = line.trim()
      lines.close()
    })
    lines.once('close', () => {
      stderr.write('\n')
      resolve(answer)
    })
  })
}
