import { renameSync, writeFileSync } from 'node:fs'

/**
 * Writes variables so that a shell (`. file`) and `node --env-file` read the same values: KEY=value lines, in
 * single quotes where a shell needs them. A reader sees the old file or the new one, never a part.
 */
export function writeEnvFile(file: string, env: Record<string, string>): void {
  writeFileSync(`${file}.new`, toEnvText(env), { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

/** @throws RangeError on a value that the two read differently: one with a quote or a line break. */
export function toEnvText(env: Record<string, string>): string {
  return Object.entries(env)
    .map(([name, value]) => `${name}=${quoted(value)}\n`)
    .join('')
}

function quoted(value: string): string {
  if (/^[\w./:@%+,=-]*$/.test(value)) return value
  if (/['\r\n]/.test(value)) throw new RangeError('An environment file cannot hold quotes or line breaks.')
  return `'${value}'`
}
