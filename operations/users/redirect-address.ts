export const defaultPort = 8888
const portMax = 65_535

/** The port that `users connect` waits at, or null if the text is none; 0 is any free one. */
export function toPort(text: string): number | null {
  if (text === '') return defaultPort
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return port <= portMax ? port : null
}

/** Where Spotify sends the browser back to. With port 0 it is registered without a port, and any port is allowed. */
export function toRedirectAddress(port: number): string {
  return `http://127.0.0.1${port === 0 ? '' : `:${port}`}/callback`
}
