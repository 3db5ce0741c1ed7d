import type { Severity } from '../../lib/events.ts'
import type { Announcement } from './triage.ts'

/** One alert; its texts are not yet fit for Discord. */
export interface Alert {
  title: string
  text: string
  severity: Severity | 'resolved'
  fields: { name: string; value: string }[]
  footer: string
  /** Unix time in milliseconds. */
  at: number
}

export interface Embed {
  title: string
  description: string
  color: number
  fields: { name: string; value: string }[]
  footer: { text: string }
  timestamp: string
}

/** Body of a POST to a webhook. */
export interface DiscordMessage {
  content?: string
  embeds?: Embed[]
  /** In a forum: opens a thread with this name. */
  thread_name?: string
  allowed_mentions: { parse: never[] }
}

const colors: Record<Alert['severity'], number> = {
  critical: 0xed4245,
  warning: 0xfee75c,
  info: 0x5865f2,
  resolved: 0x57f287,
}

/**
 * Discord's limits (docs/design.md, Discord), counted in UTF-16 units, which are never fewer than Discord counts.
 * Description and values stay far below their limits, so that one alert never fills a message.
 */
const limits = { title: 256, description: 1_500, fields: 25, name: 128, value: 600, footer: 128 }
const messageCharactersMax = 6_000
const messageEmbedsMax = 10
const contentMax = 2_000
/** Room for the line that says how many fields were left out. */
const moreFieldSize = 50

/** The alert about the first report of a kind, or about its recovery. */
export function toAlert({ first, count, examples }: Announcement): Alert {
  const resolved = first.state === 'resolved'
  const end = first.isEndUnknown ? 'Not reported any more' : 'Resolved'
  const more = { name: `${count} of them so far`, value: examples.join('\n') }
  return {
    title: resolved ? `${end}: ${first.title}` : first.title,
    text: first.text,
    severity: resolved && !first.isEndUnknown ? 'resolved' : first.severity,
    fields: count > 1 ? [...first.fields, more] : first.fields,
    footer: first.source,
    at: first.at,
  }
}

/** Packs alerts, in order, into as few messages as Discord's limits allow. @returns messages and their alerts */
export function toMessages<A extends Alert>(
  alerts: readonly A[],
): { message: DiscordMessage; alerts: A[] }[] {
  const packs: { embeds: Embed[]; alerts: A[]; size: number }[] = []
  for (const alert of alerts) {
    const embed = toEmbed(alert)
    const size = sizeOf(embed)
    const last = packs.at(-1)
    if (last && last.embeds.length < messageEmbedsMax && last.size + size <= messageCharactersMax) {
      last.embeds.push(embed)
      last.alerts.push(alert)
      last.size += size
    } else packs.push({ embeds: [embed], alerts: [alert], size })
  }
  return packs.map((p) => ({
    message: { embeds: p.embeds, allowed_mentions: { parse: [] } },
    alerts: p.alerts,
  }))
}

/** The alerts in plain text, for when Discord refuses the embeds. */
export function toPlainMessage(alerts: readonly Alert[]): DiscordMessage {
  const text = alerts.map((a) => trim(a.title, 150)).join('\n')
  return { content: trim(text, contentMax, 'plain'), allowed_mentions: { parse: [] } }
}

/** A message that Discord takes if it takes any. It stands for alerts that were refused. */
export function toProbeMessage(alerts: readonly Alert[]): DiscordMessage {
  const content = `Discord refuses the text of ${alerts.length} of the alerts here. It is in the log of the alerter.`
  return { content, allowed_mentions: { parse: [] } }
}

/** An embed that keeps every limit for any alert. */
export function toEmbed(alert: Alert): Embed {
  const embed: Embed = {
    title: trim(alert.title, limits.title),
    description: trim(alert.text, limits.description),
    color: colors[alert.severity],
    fields: [],
    footer: { text: trim(alert.footer, limits.footer, 'plain') },
    timestamp: toTimestamp(alert.at),
  }
  let size = sizeOf(embed)
  for (const [index, field] of alert.fields.entries()) {
    const fitted = { name: trim(field.name, limits.name), value: trim(field.value, limits.value) }
    const grown = size + fitted.name.length + fitted.value.length
    const left = alert.fields.length - index
    const isLastPlace = embed.fields.length === limits.fields - 1 && left > 1
    if (isLastPlace || grown + moreFieldSize > messageCharactersMax) {
      embed.fields.push({ name: '…', value: `and ${left} more` })
      break
    }
    embed.fields.push(fitted)
    size = grown
  }
  return embed
}

/** Characters of an embed that count against the message's sum. */
export function sizeOf(embed: Embed): number {
  const fields = embed.fields.reduce((sum, f) => sum + f.name.length + f.value.length, 0)
  return embed.title.length + embed.description.length + embed.footer.text.length + fields
}

/** Control characters except the line feed, separators that break lines, and marks that change writing direction. */
const unseen = /(?!\n)[\p{Cc}\p{Zl}\p{Zp}]|[\u202A-\u202E\u2066-\u2069]/gu

/** Text without markup, mentions and invisible characters, of at most `max` units and never empty. */
function trim(text: string, max: number, markup: 'escape' | 'plain' = 'escape'): string {
  const clean = toVisible(text.length > max * 4 ? text.slice(0, max * 4) : text)
  const safe = (markup === 'escape' ? escapeMarkdown(clean) : clean).trim()
  if (safe.length <= max) return safe === '' ? '–' : safe
  // A cut through a surrogate pair or after an escaping backslash would change what follows.
  const cut = safe.slice(0, max - 1).replace(/[\uD800-\uDBFF]$/, '')
  const slashes = /\\*$/.exec(cut)?.[0].length ?? 0
  return `${slashes % 2 === 1 ? cut.slice(0, -1) : cut}…`
}

/**
 * Beginnings of what Discord's clients make clickable without markup: an address with a scheme, `www.`, and
 * invitations, which work without a scheme too.
 */
const addresses =
  /[a-z][a-z0-9+.-]*:(?=\/\/)|\b(?:mailto|tel|sms):|\bwww(?=\.)|\b(?:discord|discordapp|dsc|invite)(?=\.[a-z]{2,})/gi

function toVisible(text: string): string {
  return text.toWellFormed().replace(unseen, ' ')
}

/** Shows names of people and tracks literally: without markup, mention, link or invitation. */
function escapeMarkdown(text: string): string {
  return text
    .replace(addresses, (start) => `${start}\u200b`)
    .replace(/[\\*_~`|>#[\]()<]/g, '\\$&')
    .replace(/^(\s*)([-+]|\d+\.)(?=\s)/gm, '$1\\$2')
    .replace(/@/g, '@\u200b')
}

function toTimestamp(at: number): string {
  const date = new Date(at)
  return (
    Number.isNaN(date.getTime()) || Math.abs(date.getFullYear() - 2000) > 1000 ? new Date(0) : date
  ).toISOString()
}
