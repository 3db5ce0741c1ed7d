/** The target of a redirect. Its address is as secret as the webhook's; its host is not. */
export type Redirect =
  | { type: 'follow'; host: string; to: URL }
  | { type: 'elsewhere'; host: string; detail: string }

const discordHosts = /(^|\.)(discord|discordapp)\.com$/

/**
 * The redirect in an answer, or null if it has none. Message and token may only go to the same host, or from one host
 * of Discord's to another, and never from https to http.
 */
export function toRedirect(
  from: URL,
  answer: { status: number; headers: Record<string, string | string[] | undefined> },
): Redirect | null {
  if (answer.status < 300 || answer.status >= 400) return null
  const location = String(answer.headers.location ?? '')
  if (location === '' || !URL.canParse(location, from.href)) {
    return { type: 'elsewhere', host: '?', detail: `Discord redirects (${answer.status}) without an address` }
  }
  const to = new URL(location, from)
  const isDiscords = [from, to].every((url) => discordHosts.test(url.hostname))
  const isSafe = to.protocol === 'https:' || to.protocol === from.protocol
  if (isSafe && (to.host === from.host || isDiscords)) return { type: 'follow', host: to.host, to }
  const detail = `${from.host} redirects to ${to.host}: set DISCORD_WEBHOOK_URL to the address that Discord shows`
  return { type: 'elsewhere', host: to.host, detail }
}
