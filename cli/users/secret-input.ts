import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'

/** No refresh token is that long; whatever else is piped in must not fill the memory. */
const mostCharacters = 16_384

/** Reads one secret from standard input: asked for, and not echoed, on a terminal; else all that is piped in. */
export function readSecret(prompt: string): Promise<string> {
  return process.stdin.isTTY ? ask(prompt) : readAll()
}

async function readAll(): Promise<string> {
  process.stdin.setEncoding('utf8')
  let text = ''
  for await (const chunk of process.stdin) {
    text += chunk
    if (text.length > mostCharacters) break
  }
  return text.trim()
}

function ask(prompt: string): Promise<string> {
  // readline echoes to its output: to nowhere. It also puts the terminal back as it was.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  process.stderr.write(prompt)
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
      process.stderr.write('\n')
      resolve(answer)
    })
  })
}
