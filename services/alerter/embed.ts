import type { Severity } from '../../lib/events.ts'
import type { Announcement } from './triage.ts'

/** One thing to be told; texts are as they came, not yet fit for Discord. */
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

/** Body of a webhook's POST. */
export interface DiscordMessage {
  content?: string
  embeds?: Embed[]
  /** Opens a thread of that name, in a forum. */
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
 * Discord's limits (docs/design.md, Discord), counted here in UTF-16 units: never fewer than Discord counts.
 * Description and values are kept far below theirs, so that one alert never fills a message.
 */
const limits = { title: 256, description: 1_500, fields: 25, name: 128, value: 600, footer: 128 }
const messageCharactersMax = 6_000
const messageEmbedsMax = 10
const contentMax = 2_000
/** Room for the line that says how many fields were left out. */
const moreFieldSize = 50

/** The alert of the first of a kind, or of its recovery. */
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

/** Packs alerts, in their order, into as few messages as Discord's limits allow; says which are in each. */
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

/** The same in plain text, for the case that Discord refuses the embeds. */
export function toPlainMessage(alerts: readonly Alert[]): DiscordMessage {
  const text = alerts.map((a) => trim(a.title, 150)).join('\n')
  return { content: trim(text, contentMax, 'plain'), allowed_mentions: { parse: [] } }
}

/** A message that Discord has no reason to refuse, where it takes any: it stands for alerts that were refused. */
export function toProbeMessage(alerts: readonly Alert[]): DiscordMessage {
  const content = `Discord refuses the text of ${alerts.length} of the alerts here. It is in the log of the alerter.`
  return { content, allowed_mentions: { parse: [] } }
}

/** An embed within every limit, whatever the alert holds. */
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

/** Control characters but the line feed, separators that break lines, and marks that turn the writing direction. */
const unseen = /(?!\n)[\p{Cc}\p{Zl}\p{Zp}]|[\u202A-\u202E\u2066-\u2069]/gu

/** Text without markup, mentions and characters that no screen shows, of at most `max` units and never empty. */
function trim(text: string, max: number, markup: 'escape' | 'plain' = 'escape'): string {
  const clean = toVisible(text.length > max * 4 ? text.slice(0, max * 4) : text)
  const safe = (markup === 'escape' ? escapeMarkdown(clean) : clean).trim()
  if (safe.length <= max) return safe === '' ? '–' : safe
  // A cut through a surrogate pair or behind an escaping backslash would change what follows.
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

/** Names of people and tracks are shown as they are, and lead nowhere: no markup, mention, link or invitation. */
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
