const invalid = 'INVALID_CLIENT: Invalid redirect URI'
const insecure = 'INVALID_CLIENT: Insecure redirect URI'

/**
 * Spotify's rules of November 2025: HTTPS, or plain HTTP to a loopback address; `localhost` is refused. The
 * match with a registered URI is exact, but a loopback URI registered without a port allows any port.
 *
 * @param registered null if nothing is registered: then only the rules of form apply
 * @returns the text of Spotify's page, or null if the URI is in order
 */
export function redirectFault(uri: string, registered: readonly string[] | null): string | null {
  if (!URL.canParse(uri)) return invalid
  const url = new URL(uri)
  if (url.hostname === 'localhost') return insecure
  if (url.protocol === 'http:' && !isLoopback(url)) return insecure
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return registered?.includes(uri) ? null : invalid
  if (registered === null) return null
  return registered.some((known) => known === uri || isSameButPort(known, url)) ? null : invalid
}

function isLoopback(url: URL): boolean {
  return url.hostname === '127.0.0.1' || url.hostname === '[::1]'
}

function isSameButPort(registered: string, url: URL): boolean {
  if (!URL.canParse(registered)) return false
  const known = new URL(registered)
  if (!isLoopback(known) || known.port !== '' || known.protocol !== url.protocol) return false
  return known.hostname === url.hostname && known.pathname === url.pathname && known.search === url.search
}
