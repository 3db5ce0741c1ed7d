import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { escapeHtml } from '../../lib/html.ts'
import type { Resource } from '../../lib/scope.ts'
import { describe, OperatorFault } from '../../operations/fault.ts'

/** The page that the browser shows. */
export interface BrowserPage {
  status: number
  text: string
}

export interface CallbackServer extends Resource {
  redirectUri: string
}

const host = '127.0.0.1'
const path = '/callback'

/**
 * Listens on loopback for the browser that Spotify sends back.
 *
 * @param port 0 for any free one, which Spotify allows if the redirect address is registered without a port
 * @param answer makes the page for the full address that the browser called
 * @throws OperatorFault when the port is taken
 */
export async function openCallbackServer(
  port: number,
  answer: (address: string) => Promise<BrowserPage>,
): Promise<CallbackServer> {
  let origin = ''
  const server = createServer(async (request, response) => {
    const isCallback = request.method === 'GET' && (request.url ?? '').split('?')[0] === path
    const page = isCallback
      ? await answer(origin + request.url)
      : { status: 404, text: 'songswap waits here for Spotify’s answer, and for nothing else.' }
    response.writeHead(page.status, {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      connection: 'close',
    })
    response.end(toHtml(page.text))
  })
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw new OperatorFault(
      `Port ${port} cannot be listened on: ${describe(cause)}`,
      `Choose another one with --port; Spotify must know http://${host}:PORT${path} as a redirect address.`,
      { cause },
    )
  }
  origin = `http://${host}:${(server.address() as AddressInfo).port}`
  return {
    redirectUri: origin + path,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      }),
  }
}

function toHtml(text: string): string {
  return `<!doctype html><meta charset="utf-8"><title>SongSwap</title><body style="font:16px/1.5 system-ui;max-width:34rem;margin:4rem auto;padding:0 1rem"><p>${escapeHtml(text)}</p>`
}
