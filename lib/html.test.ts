import fc from 'fast-check'
import { expect, test } from 'vitest'
import { escapeHtml } from './html.ts'

/** Decodes the character references in a text, as a browser does. */
const toText = (html: string) =>
  html.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'&<>"\'#;6a') }))

test('no text ends an element or an attribute, and a browser shows it as it was', () => {
  fc.assert(
    fc.property(text, (written) => {
      const html = escapeHtml(written)
      expect(html).not.toMatch(/[<>"']|&(?!#\d+;)/)
      expect(toText(html)).toBe(written)
    }),
  )
})
