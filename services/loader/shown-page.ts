import { isObject, parseOrNull } from './fields.ts'
import type { Item } from './item.ts'

/**
 * A page of a user whose plays are stored, or stand earlier in the same batch. The next page of the user repeats most
 * of it, byte for byte, and need not be read twice.
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
   * When a page of the user was last read in full, by `performance.now()`. This one may have been read only beyond the
   * one before it, and that one beyond an earlier one.
   */
  fullAt: number
}

/** What is left of a page without the items that an earlier one has shown. */
export interface Cut {
  /** JSON up to the last item that is new; {@link cutEnd} makes it whole. */
  rest: Buffer
  /** How many items of the earlier page, from its first on, follow them. */
  repeated: number
}

/** Ends the JSON of a page that was cut. */
export const cutEnd = ']}'

const opening = '"items":['
const openingBytes = Buffer.from(opening)
const mark = Buffer.from('"played_at":"')
/** `"played_at":"2026-11-24T08:15:00.000Z"` */
const markLength = mark.length + 25
const quote = 0x22
const comma = 0x2c
const bracket = 0x5d

/** @returns null when the places of its items cannot be told from the bytes */
export function toShownPage(of: Omit<ShownPage, 'itemsAt'>): ShownPage | null {
  const itemsAt = startOfItems(of.body)
  return itemsAt === null || of.items.length === 0 ? null : { ...of, itemsAt }
}

/**
 * Cuts off a page what an earlier page of the same user has shown: items come newest first, so the older ones of
 * the page are the first ones of the earlier page. Nothing is cut unless every byte of them is the same, and what
 * is before and behind them reads as a page: so a page with no fault is read as it would be without the cut, and
 * one that is no JSON is found to be none.
 *
 * @returns null when nothing is to be cut
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

/** @param page what a page has from the first item that was shown on */
function countRepeated(page: Buffer, { body, itemsAt, items }: ShownPage): number | null {
  const lastMark = page.lastIndexOf(mark)
  if (lastMark < 0 || !repeats(page, body.subarray(itemsAt), lastMark)) return null
  const timeAt = lastMark + mark.length
  const last = Date.parse(page.toString('latin1', timeAt, page.indexOf(quote, timeAt)))
  const index = items.findIndex(({ playedAt }) => playedAt === last)
  // Of two items at one moment it could be either.
  return index >= 0 && index === items.findLastIndex(({ playedAt }) => playedAt === last) ? index + 1 : null
}

/**
 * Whether two texts are the same until the list of items ends in the first one.
 *
 * @param shown what the earlier page has from its first item on
 * @param lastMark where the last item of the page says when it was played
 */
function repeats(page: Buffer, shown: Buffer, lastMark: number): boolean {
  if (lastMark > shown.length || page.compare(shown, 0, lastMark, 0, lastMark) !== 0) return false
  for (let i = lastMark; i < page.length; i++) {
    if (page[i] === bracket && goesOn(shown, i) && endsPage(page.toString('latin1', i))) return true
    if (page[i] !== shown[i]) return false
  }
  return false
}

/** Whether a list of items ends at a place, or another item begins there. */
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
