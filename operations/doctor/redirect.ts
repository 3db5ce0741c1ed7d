/**
 * Why Spotify refuses a redirect address, by its rules since 2025-11-27: https, or http on a loopback address
 * written as a number; never `localhost`, and without a fragment.
 * https://developer.spotify.com/documentation/web-api/concepts/redirect_uri
 *
 * @returns the fault, or null if the address is allowed
 */
export function redirectFault(address: string): string | null {
  if (!URL.canParse(address)) return 'it is no address'
  const { protocol, hostname, hash } = new URL(address)
  if (hash !== '' || address.endsWith('#')) return 'it has a fragment'
  if (hostname === 'localhost' || hostname.endsWith('.localhost')) {
    return 'localhost is refused: write the loopback address as a number, http://127.0.0.1:PORT/…'
  }
  if (protocol === 'https:') return null
  if (protocol !== 'http:') return `${protocol} is neither https nor http`
  return hostname === '127.0.0.1' || hostname === '[::1]'
    ? null
    : 'http is allowed on 127.0.0.1 and [::1] alone: use https'
}
