import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const mostBytes = 256 * 1024

/** The text of a log from a byte offset on, at most the last 256 KiB; empty if there is no log. */
export function readLogFrom(file: string, offset: number): string {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch {
    return ''
  }
  try {
    const { size } = fstatSync(descriptor)
    const start = Math.max(offset, size - mostBytes)
    const bytes = Buffer.alloc(Math.max(0, size - start))
    return bytes.toString('utf8', 0, readSync(descriptor, bytes, 0, bytes.length, start))
  } finally {
    closeSync(descriptor)
  }
}
