import { toPrintable } from '../../cli/terminal/table.ts'
import type { Decoded } from '../../lib/codec.ts'

/** Bytes within a value: as text where they are text, as JSON where they are JSON. */
interface ShownBytes {
  bytes: number
  json?: unknown
  text?: string
  base64?: string
}

/** A value for a person to see. */
export interface ShownValue {
  bytes: number | null
  base64: string | null
  /** The registry's id of the schema; null: not decoded. */
  schemaId: number | null
  /** Why it could not be decoded. */
  error: string | null
  /** Field by field; null: not decoded. */
  fields: Record<string, unknown> | null
  /** The field `body`, if there is one. */
  body: ShownBytes | null
}

export function toShownValue(bytes: Buffer | null, decoded: Decoded<unknown>): ShownValue {
  const base = { bytes: bytes?.length ?? null, base64: bytes?.toString('base64') ?? null }
  if (decoded.type === 'undecodable') {
    return { ...base, schemaId: null, error: decoded.message, fields: null, body: null }
  }
  const all = Object.entries(Object(decoded.value))
  const body = all.find(([name, v]) => name === 'body' && Buffer.isBuffer(v))?.[1]
  const fields = all
    .filter(([, v]) => v !== body)
    .map(([name, v]) => [name, Buffer.isBuffer(v) ? toShownBytes(v) : v])
  return {
    ...base,
    schemaId: decoded.writer?.id ?? null,
    error: null,
    fields: Object.fromEntries(fields),
    body: Buffer.isBuffer(body) ? toShownBytes(body) : null,
  }
}

function toShownBytes(bytes: Buffer): ShownBytes {
  const text = bytes.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(bytes)) {
    return { bytes: bytes.length, base64: bytes.toString('base64') }
  }
  try {
    return { bytes: bytes.length, text, json: JSON.parse(text) }
  } catch {
    return { bytes: bytes.length, text }
  }
}

/** Bytes that are not text: so many are shown. */
const hexMax = 256
/** Times are fields whose name ends so, in Unix ms. */
const timeField = /At$/

export function toValueLines(value: ShownValue): string[] {
  if (value.bytes === null) return ['no value: a tombstone']
  if (value.fields === null) {
    const bytes = Buffer.from(value.base64 ?? '', 'base64')
    return [`value of ${value.bytes} bytes, not decoded: ${toPrintable(value.error ?? '')}`, ...toHex(bytes)]
  }
  const fields = Object.entries(value.fields).map(([name, v]) => `  ${name}: ${toFieldText(name, v)}`)
  return [`value of ${value.bytes} bytes, schema ${value.schemaId}`, ...fields, ...toBodyLines(value.body)]
}

function toFieldText(name: string, v: unknown): string {
  if (typeof v === 'number' && timeField.test(name)) {
    const at = new Date(v)
    return `${v}${Number.isNaN(at.getTime()) ? '' : ` (${at.toISOString()})`}`
  }
  return toPrintable(typeof v === 'string' ? v : JSON.stringify(v))
}

function toBodyLines(body: ShownBytes | null): string[] {
  if (!body) return []
  const title = `  body: ${body.bytes} bytes`
  if (body.json !== undefined)
    return [`${title} of JSON`, ...JSON.stringify(body.json, null, 2).split('\n').map(toPrintable)]
  if (body.text !== undefined) return [`${title}, not JSON`, ...body.text.split('\n').map(toPrintable)]
  return [`${title}, not text`, ...toHex(Buffer.from(body.base64 ?? '', 'base64'))]
}

function toHex(bytes: Buffer): string[] {
  const shown = bytes.subarray(0, hexMax)
  const lines: string[] = []
  for (let i = 0; i < shown.length; i += 16) {
    const row = shown.subarray(i, i + 16)
    const hex = row.toString('hex').replace(/../g, '$& ')
    const text = row.toString('latin1').replace(/[^\x20-\x7e]/g, '.')
    lines.push(`  ${i.toString(16).padStart(4, '0')}  ${hex.padEnd(48)} ${text}`)
  }
  return bytes.length > hexMax ? [...lines, `  … ${bytes.length - hexMax} bytes more`] : lines
}
