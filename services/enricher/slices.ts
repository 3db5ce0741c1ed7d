/**
 * The elements of an array in a JSON object, each as the bytes received.
 *
 * @param body a complete JSON text in UTF-8 (its validity was checked by parsing it): an object
 * @param name the property that holds the array; of several with this name the last one counts, as in JSON.parse
 * @returns null if the object has no such array
 * @throws SyntaxError for some texts that are not JSON
 */
export function elementSlices(body: Buffer, name: string): Buffer[] | null {
  let slices: Buffer[] | null = null
  for (const { key, start, end } of membersOf(body)) {
    if (key !== name) continue
    slices = body[start] === bracketOpen ? elementsOf(body, start, end) : null
  }
  return slices
}

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const backslash = 0x5c
const bracketOpen = 0x5b
const bracketClose = 0x5d
const braceOpen = 0x7b
const braceClose = 0x7d
const spaces = new Set([0x20, 0x09, 0x0a, 0x0d])

interface Member {
  key: string
  start: number
  end: number
}

function membersOf(body: Buffer): Member[] {
  const members: Member[] = []
  let at = skipSpaces(body, 0)
  if (body[at] !== braceOpen) return members
  at = skipSpaces(body, at + 1)
  while (body[at] === quote) {
    const keyEnd = skipString(body, at)
    const key = String(JSON.parse(body.toString('utf8', at, keyEnd)))
    const afterKey = skipSpaces(body, keyEnd)
    if (body[afterKey] !== colon) return members
    const start = skipSpaces(body, afterKey + 1)
    const end = skipValue(body, start)
    members.push({ key, start, end })
    at = skipSpaces(body, end)
    if (body[at] === comma) at = skipSpaces(body, at + 1)
  }
  return members
}

function elementsOf(body: Buffer, arrayStart: number, arrayEnd: number): Buffer[] {
  const elements: Buffer[] = []
  let at = skipSpaces(body, arrayStart + 1)
  while (at < arrayEnd - 1) {
    const end = skipValue(body, at)
    // A value is missing: this is not JSON.
    if (end === at) return elements
    elements.push(body.subarray(at, end))
    at = skipSpaces(body, end)
    if (body[at] === comma) at = skipSpaces(body, at + 1)
  }
  return elements
}

/** @returns the place after the value that begins at `at` */
function skipValue(body: Buffer, at: number): number {
  const first = body[at]
  if (first === quote) return skipString(body, at)
  if (first === braceOpen || first === bracketOpen) return skipNested(body, at)
  let end = at
  while (end < body.length && !isEndOfLiteral(body[end])) end++
  return end
}

function skipNested(body: Buffer, at: number): number {
  let depth = 0
  for (let i = at; i < body.length; i++) {
    const byte = body[i]
    if (byte === quote) i = skipString(body, i) - 1
    else if (byte === braceOpen || byte === bracketOpen) depth++
    else if (byte === braceClose || byte === bracketClose) {
      depth--
      if (depth === 0) return i + 1
    }
  }
  return body.length
}

function skipString(body: Buffer, at: number): number {
  for (let i = at + 1; i < body.length; i++) {
    if (body[i] === backslash) i++
    else if (body[i] === quote) return i + 1
  }
  return body.length
}

function skipSpaces(body: Buffer, at: number): number {
  let i = at
  while (i < body.length && spaces.has(body[i] ?? 0)) i++
  return i
}

function isEndOfLiteral(byte: number | undefined): boolean {
  return (
    byte === undefined || byte === comma || byte === bracketClose || byte === braceClose || spaces.has(byte)
  )
}
