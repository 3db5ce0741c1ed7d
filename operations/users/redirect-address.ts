export const defaultPort = 8888
const portMax = 65_535

/** The port that `users connect` waits at (0 for any free one), or null if the text is not a port. */
export function toPort(text: string): number | null {
  if (text === '') return defaultPort
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return port <= portMax ? port : null
}

/** Where Spotify sends the browser back to. For port 0 it has no port: Spotify then allows any. */
export function toRedirectAddress(port: number): string {
  return `http://127.0.0.1${port === 0 ? '' : `:${port}`}/callback`
}
