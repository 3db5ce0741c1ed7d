import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './until.ts'

/** Nothing is there: what `npm start` has left in the checkout is not the test's. */
const noStack = join(tmpdir(), 'songswap-no-stack')

const program = fileURLToPath(new URL('../../cli/songswap.ts', import.meta.url))

/** How a run of the command ended. */
export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** A running command. */
export interface Running {
  /** Writes a line to its standard input. */
  type(line: string): void
  /** Writes the last of its standard input. */
  end(text: string): void
  /** Waits until its standard output or error matches; returns the first group. */
  says(pattern: RegExp): Promise<string>
  /** Ctrl-C. */
  interrupt(): void
  /** kill -9. */
  kill(): void
  ended: Promise<Ended>
}

/**
 * Starts the real command as a process of its own, with the given environment and nothing of the test's but
 * the PATH.
 */
export function startSongswap(args: readonly string[], env: Record<string, string>): Running {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env.PATH, STACK_DATA_DIR: noStack, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const heard = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      heard[stream] += text
    })
  }
  // A command that ends without reading its input.
  child.stdin.on('error', () => undefined)
  const closed = once(child, 'close').then(([code]) => ({ code, ...heard }))
  return {
    type: (line) => void child.stdin.write(`${line}\n`),
    end: (text) => void child.stdin.end(text),
    says: (pattern) =>
      until(
        () => pattern.exec(heard.stdout)?.[1] ?? pattern.exec(heard.stderr)?.[1],
        `songswap ${args.join(' ')} says ${pattern}, not ${JSON.stringify(heard)}`,
      ),
    interrupt: () => void child.kill('SIGINT'),
    kill: () => void child.kill('SIGKILL'),
    ended: closed,
  }
}

/** Runs the real command to its end, with all of its standard input at hand. */
export function runSongswap(
  args: readonly string[],
  env: Record<string, string>,
  input = '',
): Promise<Ended> {
  const running = startSongswap(args, env)
  running.end(input)
  return running.ended
}
