import { createLogUpdate } from 'log-update'
import { type Counters, toCounterLine } from './counters.ts'
import { toSeconds } from './infra-line.ts'

/** The output of `npm start`. */
export interface View {
  starting(name: string): void
  up(name: string, tookMs: number): void
  /** A line that stays. */
  note(text: string): void
  counters(counters: Counters): void
  close(): void
}

const upLine = (name: string, tookMs: number) => `${name.padEnd(18)} up after ${toSeconds(tookMs)}`

/** For logs and pipes: one line per step, and the counters every ten seconds. */
function openPlainView(write: (line: string) => void, everyMs = 10_000): View {
  let lastShown = Number.NEGATIVE_INFINITY
  return {
    starting: () => {},
    up: (name, tookMs) => write(upLine(name, tookMs)),
    note: write,
    counters(counters) {
      if (performance.now() - lastShown < everyMs) return
      lastShown = performance.now()
      write(toCounterLine(counters))
    },
    close: () => {},
  }
}

/** For terminals: finished steps stay; below them one line shows what is starting, later the counters. */
function openLiveView(stream: NodeJS.WriteStream): View {
  const log = createLogUpdate(stream)
  const began = new Map<string, number>()
  let counterLine = ''
  const draw = () => {
    const waiting = [...began].map(([name, at]) => `${name} ${Math.floor((performance.now() - at) / 1000)} s`)
    const lines = [counterLine, waiting.length > 0 ? `starting: ${waiting.join(', ')}` : '']
    log(lines.filter(Boolean).join('\n'))
  }
  const timer = setInterval(draw, 500)
  return {
    starting(name) {
      began.set(name, performance.now())
      draw()
    },
    up(name, tookMs) {
      began.delete(name)
      log.persist(upLine(name, tookMs))
      draw()
    },
    note(text) {
      log.persist(text)
      draw()
    },
    counters(counters) {
      counterLine = toCounterLine(counters)
      draw()
    },
    close() {
      clearInterval(timer)
      log.done()
    },
  }
}

export function openView(): View {
  return process.stdout.isTTY ? openLiveView(process.stdout) : openPlainView((line) => console.log(line))
}
