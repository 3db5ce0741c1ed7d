import { escapeHtml } from '../../lib/html.ts'
import type { PostedMessage } from './channel.ts'
import type { Embed } from './message.ts'

/** The channel as a page that refreshes itself, newest message first. */
export function toChannelPage(messages: readonly PostedMessage[]): string {
  const shown = messages.slice(-100).toReversed().map(toArticle)
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title># alerts</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="3"><style>${style}</style></head>
<body><h1># alerts</h1>
${shown.length === 0 ? '<p class="none">No message yet. Alerts of songswap-stream appear here.</p>' : shown.join('\n')}
</body></html>
`
}

function toArticle(message: PostedMessage): string {
  const time = new Date(message.at).toISOString().replace('T', ' ').slice(0, 19)
  const content = message.content === '' ? '' : `<div class="content">${toMarkup(message.content)}</div>`
  return `<article><header><b>${escapeHtml(message.username ?? 'songswap-stream')}</b> <span>APP</span>
<time>${time} UTC</time></header>${content}${firstOfEachUrl(message.embeds).map(toSection).join('')}</article>`
}

/** Discord shows only the first of several embeds with the same url. */
function firstOfEachUrl(embeds: readonly Embed[]): Embed[] {
  return embeds.filter(({ url }, place) => {
    return url === undefined || embeds.findIndex((embed) => embed.url === url) === place
  })
}

function toSection(embed: Embed): string {
  const color = `#${(embed.color ?? 0x1e1f22).toString(16).padStart(6, '0')}`
  const title = embed.title === undefined ? '' : toTitle(embed.title, embed.url)
  const fields = embed.fields.map(({ name, value, inline }) => {
    return `<div class="${inline ? 'inline' : 'line'}"><b>${toMarkup(name)}</b><div>${toMarkup(value)}</div></div>`
  })
  const foot = [embed.footer, embed.timestamp].filter((part) => part !== undefined).map(escapeHtml)
  return `<section style="border-color:${color}">${part('small', embed.author)}${title}
${embed.description === undefined ? '' : `<p>${toMarkup(embed.description)}</p>`}
<div class="fields">${fields.join('')}</div>${foot.length === 0 ? '' : `<footer>${foot.join(' · ')}</footer>`}</section>`
}

function toTitle(title: string, url: string | undefined): string {
  const text = toMarkup(title)
  return `<h2>${url === undefined ? text : `<a href="${escapeHtml(url)}">${text}</a>`}</h2>`
}

function part(tag: string, text: string | undefined): string {
  return text === undefined ? '' : `<${tag}>${escapeHtml(text)}</${tag}>`
}

/** Renders bold, code and line breaks of Discord's markdown; everything else stays text. */
function toMarkup(text: string): string {
  return escapeHtml(text)
    .replace(/```\n?([\s\S]+?)```/g, '<pre>$1</pre>')
    .replace(/`([^`\n]+)`/g, '<code>$1</code>')
    .replace(/\*\*(.+?)\*\*/g, '<b>$1</b>')
    .replace(/\n/g, '<br>')
}

const style = `
body{background:#313338;color:#dbdee1;font:16px/1.4 "gg sans",system-ui,sans-serif;max-width:52rem;margin:1.5rem auto;padding:0 1rem}
h1{font-size:1.1rem;color:#f2f3f5;border-bottom:1px solid #26272b;padding-bottom:.7rem}
article{margin:1.2rem 0}header b{color:#f2f3f5}header span{background:#5865f2;color:#fff;border-radius:3px;font-size:.65rem;padding:.1rem .3rem}
time{color:#949ba4;font-size:.75rem;margin-left:.4rem}
section{background:#2b2d31;border-left:4px solid;border-radius:4px;padding:.6rem 1rem;margin:.3rem 0;max-width:32rem;overflow-wrap:anywhere}
h2{font-size:1rem;margin:.2rem 0;color:#f2f3f5}a{color:#00a8fc}p{margin:.3rem 0;font-size:.9rem}
.fields{display:grid;grid-template-columns:repeat(3,1fr);gap:.5rem;font-size:.85rem}.line{grid-column:1/-1}
footer,small,.none{color:#949ba4;font-size:.75rem}code,pre{background:#1e1f22;border-radius:3px;padding:.1rem .2rem;white-space:pre-wrap}
`
