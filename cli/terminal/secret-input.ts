import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import type { Terminal } from './terminal.ts'

/** No refresh token is that long; whatever else is piped in must not fill the memory. */
const mostCharacters = 16_384

/** Reads one secret from standard input: asked for, and not echoed, on a terminal; else all that is piped in. */
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
  // readline echoes to its output: to nowhere. It also puts the terminal back as it was.
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
