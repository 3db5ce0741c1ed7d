import type { InfraProgress } from '../infra/start-infra.ts'

/** The line for one step of the servers' start. */
export function toInfraLine(progress: InfraProgress): string {
  switch (progress.type) {
    case 'recovered':
      return `Stopped what a killed run had left: ${progress.names.join(', ')}`
    case 'starting':
      return `${progress.name.padEnd(10)} starting`
    case 'up':
      return `${progress.name.padEnd(10)} up after ${toSeconds(progress.tookMs)}`
  }
}

/** Milliseconds as seconds with one decimal. */
export function toSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
