import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkMessage } from '../../simulators/discord/message.ts'
import type { Alert } from './embed.ts'
import { sizeOf, toEmbed, toMessages, toPlainMessage } from './embed.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 3_000 }),
  fc.constantFrom('', ' ', '\ud83d', '\u0000', '\\'.repeat(5_000), '*'.repeat(5_000), '😀'.repeat(3_000)),
)
const alert: fc.Arbitrary<Alert> = fc.record({
  title: text,
  text,
  severity: fc.constantFrom('critical', 'warning', 'info', 'resolved'),
  fields: fc.array(fc.record({ name: text, value: text }), { maxLength: 40 }),
  footer: text,
  at: fc.oneof(fc.integer(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 1e300)),
})

const plain: Alert = { title: 't', text: 'x', severity: 'info', fields: [], footer: 'f', at: 0 }

describe('messages', () => {
  test('keep every limit of Discord, whatever the alerts hold, and leave no alert out', () => {
    fc.assert(
      fc.property(fc.array(alert, { maxLength: 25 }), (alerts) => {
        const packs = toMessages(alerts)
        for (const { message } of packs) {
          expect(checkMessage(JSON.parse(JSON.stringify(message)))).toMatchObject({
            type: 'message',
            message: { pings: [] },
          })
        }
        expect(packs.flatMap((p) => p.alerts)).toEqual(alerts)
        expect(packs.flatMap((p) => p.message.embeds ?? [])).toHaveLength(alerts.length)
      }),
      { numRuns: 200 },
    )
  })

  test('are as few as ten embeds each allow', () => {
    expect(toMessages(Array(25).fill(plain)).map((p) => p.alerts.length)).toEqual([10, 10, 5])
  })

  test('in plain text keep the limit too', () => {
    fc.assert(
      fc.property(fc.array(alert, { minLength: 1, maxLength: 25 }), (alerts) => {
        expect(checkMessage(toPlainMessage(alerts)).type).toBe('message')
      }),
    )
  })
})

describe('an embed', () => {
  test('shows markup and mentions as text', () => {
    const { description } = toEmbed({ ...plain, text: '**b** `c` [l](http://x) <@1> @everyone # h\n- item' })
    expect(description).toBe(
      '\\*\\*b\\*\\* \\`c\\` \\[l\\]\\(http:\u200b//x\\) \\<@\u200b1\\> @\u200beveryone \\# h\n\\- item',
    )
  })

  test.each([
    'https://evil.example/x',
    'HTTP://evil.example',
    'see discord://-/settings',
    'discord.gg/abc',
    'Discord.GG/abc',
    'discord.com/invite/abc',
    'discordapp.com/invite/abc',
    'dsc.gg/abc',
    'www.evil.example',
    'mailto:a@b.example',
    '(https://evil.example)',
  ])('leads nowhere, whatever a name holds: %s', (name) => {
    const { title, description } = toEmbed({ ...plain, title: name, text: name })
    const { content } = toPlainMessage([{ ...plain, title: name }])
    for (const shown of [title, description, content ?? '']) {
      expect(shown).not.toMatch(/[a-z]:\/\/|\bwww\.|mailto:\w|\b(discord|discordapp|dsc)\.[a-z]/i)
      // What is seen stays the same.
      expect(shown.replace(/[\u200b\\]/g, '')).toBe(name)
    }
  })

  test('is cut between characters and never behind an escaping backslash', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('😀', '*', '\\', 'a'), minLength: 200, maxLength: 600 }),
        (title) => {
          const cut = toEmbed({ ...plain, title }).title
          expect(cut.isWellFormed()).toBe(true)
          expect(cut.replace(/\\[\\*]/g, '')).not.toContain('\\')
        },
      ),
    )
  })

  test('says how many fields it leaves out', () => {
    const fields = Array.from({ length: 30 }, (_, i) => ({ name: `n${i}`, value: 'v' }))
    const embed = toEmbed({ ...plain, fields })
    expect(embed.fields).toHaveLength(25)
    expect(embed.fields.at(-1)).toEqual({ name: '…', value: 'and 6 more' })
    const long = toEmbed({ ...plain, fields: fields.map((f) => ({ ...f, value: 'v'.repeat(2_000) })) })
    expect(sizeOf(long)).toBeLessThanOrEqual(6_000)
    expect(long.fields.at(-1)?.value).toBe(`and ${30 - long.fields.length + 1} more`)
  })

  test('has an integer colour for each severity', () => {
    for (const severity of ['critical', 'warning', 'info', 'resolved'] as const) {
      expect(toEmbed({ ...plain, severity }).color).toSatisfy(Number.isInteger)
    }
  })
})
