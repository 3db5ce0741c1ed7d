import { late, within } from '../../lib/time-limit.ts'
import { describe } from '../fault.ts'

/** One part of the status, or why it cannot be read. */
export type Part<T> = { type: 'read'; value: T } | { type: 'unreadable'; error: string }

/** Bound of the reading of one part. */
const readWithinMs = 5_000

/**
 * Reads one part. A fault of its own leaves the other parts alone.
 *
 * @param who named when no answer comes in time
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

/** Reads what needs `first`: without it, it is unreadable for the same reason. */
export async function readAfter<A, T>(first: Part<A>, read: (value: A) => Promise<T>): Promise<Part<T>> {
  return first.type === 'read' ? readPart(() => read(first.value)) : first
}
