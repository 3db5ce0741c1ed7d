import type { ShownBytes, ShownValue } from '../../operations/dead-letters/value.ts'
import { toPrintable } from '../terminal/table.ts'

/** At most this many bytes are shown in hexadecimal. */
const hexMax = 256
/** Fields with such a name hold times in Unix ms. */
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
