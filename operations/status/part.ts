import { late, within } from '../../lib/time-limit.ts'
import { describe } from '../fault.ts'

/** A part of the status, or why it cannot be read. */
export type Part<T> = { type: 'read'; value: T } | { type: 'unreadable'; error: string }

/** Time limit for one part. */
const readWithinMs = 5_000

/**
 * Reads one part. Its failure does not affect the other parts.
 *
 * @param who named in the error when no answer comes in time
 */
export async function readPart<T>(read: () => Promise<T>, who = ''): Promise<Part<T>> {
  try {
    const value = await within(readWithinMs, read())
    if (value !== late) return { type: 'read', value }
    const error = `${who && `${who}: `}no answer within ${readWithinMs / 1000} seconds`
    return { type: 'unreadable', error }
  } catch (error) {
    return { type: 'unreadable', error: describe(error) }
  }
}

/** Reads a part that needs `first`. If `first` is unreadable, so is the part, for the same reason. */
export async function readAfter<A, T>(first: Part<A>, read: (value: A) => Promise<T>): Promise<Part<T>> {
  return first.type === 'read' ? readPart(() => read(first.value)) : first
}
