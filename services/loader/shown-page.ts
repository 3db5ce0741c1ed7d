import { isObject, parseOrNull } from './fields.ts'
import type { Item } from './item.ts'

/**
 * A page of a user whose plays are stored or come earlier in the same batch. The user's next page repeats most of it,
 * byte for byte, and that part need not be read twice.
 */
export interface ShownPage {
  body: Buffer
  /** Unix time in milliseconds. */
  fetchedAt: number
  /** All of them are plays. */
  items: readonly Item[]
  /** Where the items begin in the body. */
  itemsAt: number
  /**
   * When a page of the user was last read in full, by `performance.now()`. Of this page perhaps only the new items
   * were read, and likewise of the pages before it.
   */
  fullAt: number
}

/** A page without the items that an earlier one has shown. */
export interface Cut {
  /** JSON up to the last new item; {@link cutEnd} completes it. */
  rest: Buffer
  /** How many items of the earlier page, from its first on, follow. */
  repeated: number
}

/** Completes the JSON of a page that was cut. */
export const cutEnd = ']}'

const opening = '"items":['
const openingBytes = Buffer.from(opening)
const mark = Buffer.from('"played_at":"')
/** `"played_at":"2026-11-24T08:15:00.000Z"` */
const markLength = mark.length + 25
const quote = 0x22
const comma = 0x2c
const bracket = 0x5d

/** @returns null if the places of its items cannot be found in the bytes */
export function toShownPage(of: Omit<ShownPage, 'itemsAt'>): ShownPage | null {
  const itemsAt = startOfItems(of.body)
  return itemsAt === null || of.items.length === 0 ? null : { ...of, itemsAt }
}

/**
 * Cuts off what an earlier page of the same user has shown. Items come newest first, so the older items of the page
 * are the first ones of the earlier page. It cuts only if every byte of them is the same, and the rest before and
 * after them reads as a page. So a valid page reads as it would without the cut, and invalid JSON is still found to
 * be invalid.
 *
 * @returns null if nothing can be cut
 */
export function cutRepeated(body: Buffer, shown: ShownPage): Cut | null {
  const itemsAt = startOfItems(body)
  const firstMark = shown.body.indexOf(mark, shown.itemsAt)
  if (itemsAt === null || firstMark < 0) return null
  const markAt = body.indexOf(shown.body.subarray(firstMark, firstMark + markLength), itemsAt)
  const start = markAt - (firstMark - shown.itemsAt)
  if (markAt < 0 || start < itemsAt || (start > itemsAt && body[start - 1] !== comma)) return null
  const repeated = countRepeated(body.subarray(start), shown)
  if (repeated === null) return null
  const newEnd = start > itemsAt ? start - 1 : start
  return { rest: body.subarray(0, newEnd), repeated }
}

/** @param page bytes of a page from its first repeated item on */
function countRepeated(page: Buffer, { body, itemsAt, items }: ShownPage): number | null {
  const lastMark = page.lastIndexOf(mark)
  if (lastMark < 0 || !repeats(page, body.subarray(itemsAt), lastMark)) return null
  const timeAt = lastMark + mark.length
  const last = Date.parse(page.toString('latin1', timeAt, page.indexOf(quote, timeAt)))
  const index = items.findIndex(({ playedAt }) => playedAt === last)
  // With two items at one moment it could be either.
  return index >= 0 && index === items.findLastIndex(({ playedAt }) => playedAt === last) ? index + 1 : null
}

/**
 * Whether two texts are the same until the list of items ends in the first one.
 *
 * @param shown bytes of the earlier page from its first item on
 * @param lastMark place of `played_at` in the last item of the page
 */
function repeats(page: Buffer, shown: Buffer, lastMark: number): boolean {
  if (lastMark > shown.length || page.compare(shown, 0, lastMark, 0, lastMark) !== 0) return false
  for (let i = lastMark; i < page.length; i++) {
    if (page[i] === bracket && goesOn(shown, i) && endsPage(page.toString('latin1', i))) return true
    if (page[i] !== shown[i]) return false
  }
  return false
}

/** Whether the list of items ends at a place or another item begins there. */
function goesOn(shown: Buffer, at: number): boolean {
  return shown[at] === bracket || shown.toString('latin1', at, at + 3) === ',{"'
}

function startOfItems(body: Buffer): number | null {
  const at = body.indexOf(openingBytes)
  if (at < 0) return null
  const start = at + opening.length
  return isEmptyPage(body.toString('latin1', 0, start) + cutEnd) ? start : null
}

/** Whether a text is JSON of an object whose list of items is empty. */
function isEmptyPage(text: string): boolean {
  const json = parseOrNull(text)
  return isObject(json) && Array.isArray(json.items) && json.items.length === 0
}

/** Whether a text ends the list of items and the page, and no other list of items follows: the last one counts. */
function endsPage(text: string): boolean {
  const json = parseOrNull(`{"list":[${text}`)
  return isObject(json) && !Object.hasOwn(json, 'items')
}
