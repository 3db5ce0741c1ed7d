import { InvalidArgumentError } from 'commander'

const most = 86_400

/** Parses an option of commander's: seconds, with decimals, up to a day. */
export function parseSeconds(least: number): (text: string) => number {
  return (text) => {
    const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
    if (seconds >= least && seconds <= most) return seconds
    throw new InvalidArgumentError(`Give seconds, ${least} to ${most}.`)
  }
}

/** Parses an option of commander's: a whole number. */
export function parseWhole(text: string): number {
  const n = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isNaN(n)) return n
  throw new InvalidArgumentError('Give a whole number.')
}
