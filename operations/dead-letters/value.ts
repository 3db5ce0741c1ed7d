import { z } from 'zod'
import type { Decoded } from '../../lib/codec.ts'

const shownBytes = z
  .object({
    bytes: z.int(),
    json: z.unknown().optional(),
    text: z.string().optional(),
    base64: z.string().optional(),
  })
  .describe('as text where the bytes are text, else in base64; as JSON too where they are JSON')

/** Bytes within a value. */
export type ShownBytes = z.infer<typeof shownBytes>

export const shownValue = z.object({
  bytes: z.int().nullable().describe('null if the record has no value'),
  base64: z.string().nullable(),
  schemaId: z.int().nullable().describe("the registry's id of the schema, or null if it was not decoded"),
  error: z.string().nullable().describe('why it could not be decoded'),
  fields: z.record(z.string(), z.unknown()).nullable().describe('null if it was not decoded'),
  body: shownBytes.nullable().describe('the field body, if there is one'),
})

/** A record's value in a readable form. */
export type ShownValue = z.infer<typeof shownValue>

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
