import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../../cli/program.ts'
import { until } from './until.ts'

/** This folder does not exist, so commands do not find a stack that `npm start` left in the checkout. */
const noStack = join(tmpdir(), 'songswap-no-stack')

const program = fileURLToPath(new URL('../../cli/songswap.ts', import.meta.url))

/** Exit code and output of a command. */
export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** A running command. */
export interface Running {
  /** Writes a line to its standard input. */
  type(line: string): void
  /** Writes the end of its standard input. */
  end(text: string): void
  /** Waits until its standard output or error matches; returns the first group. */
  says(pattern: RegExp): Promise<string>
  /** Ctrl-C. */
  interrupt(): void
  ended: Promise<Ended>
}

/** Starts a command in this process, with only the given environment. */
export function startSongswap(args: readonly string[], env: Record<string, string>): Running {
  const stdin = new PassThrough()
  const outputs = { stdout: new PassThrough(), stderr: new PassThrough() }
  const heard = listen(outputs)
  const interrupts = new Set<() => void>()
  const ended = runProgram(args, {
    ...{ env, stdin, ...outputs },
    onInterrupt(listener) {
      interrupts.add(listener)
      return () => interrupts.delete(listener)
    },
  }).then((code) => ({ code, ...heard }))
  return {
    ...toRunning(args, { stdin, heard }),
    interrupt() {
      for (const listener of interrupts) listener()
    },
    ended,
  }
}

/**
 * Starts the real command as a process, with only the given environment and the PATH: for behaviour that only a
 * process has.
 */
export function spawnSongswap(
  args: readonly string[],
  env: Record<string, string>,
): Running & { kill(): void } {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env.PATH, STACK_DATA_DIR: noStack, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const { stdin } = child
  const heard = listen(child)
  // Fails if the command ends without reading its input.
  stdin.on('error', () => undefined)
  return {
    ...toRunning(args, { stdin, heard }),
    interrupt: () => void child.kill('SIGINT'),
    kill: () => void child.kill('SIGKILL'),
    ended: once(child, 'close').then(([code]) => ({ code, ...heard })),
  }
}

/** Runs a command to its end in this process, with its whole standard input. */
export function runSongswap(
  args: readonly string[],
  env: Record<string, string>,
  input = '',
): Promise<Ended> {
  const running = startSongswap(args, env)
  running.end(input)
  return running.ended
}

type Heard = Record<'stdout' | 'stderr', string>

/** Collects what a command writes. */
function listen(outputs: Record<keyof Heard, NodeJS.ReadableStream>): Heard {
  const heard = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    outputs[name].setEncoding('utf8').on('data', (text: string) => {
      heard[name] += text
    })
  }
  return heard
}

function toRunning(
  args: readonly string[],
  { stdin, heard }: { stdin: NodeJS.WritableStream; heard: Heard },
): Pick<Running, 'type' | 'end' | 'says'> {
  return {
    type: (line) => void stdin.write(`${line}\n`),
    end: (text) => void stdin.end(text),
    says: (pattern) =>
      until(
        () => pattern.exec(heard.stdout)?.[1] ?? pattern.exec(heard.stderr)?.[1],
        `songswap ${args.join(' ')} says ${pattern}, not ${JSON.stringify(heard)}`,
      ),
  }
}
