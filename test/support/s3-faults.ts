import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A fault of a request to the object store. */
export type S3Fault =
  /** Not done; answered with this status and an S3 error code. */
  | { type: 'status'; status: number; code: string }
  /** Done, but the connection breaks before the answer, so the client cannot know. */
  | { type: 'lost-answer' }
  /** The connection breaks after the beginning of a JSON answer. */
  | { type: 'half-answer' }
  /** Not done: the connection breaks in the middle of the request's body. */
  | { type: 'cut-body' }
  /** Done, and answered with another body. */
  | { type: 'rewrite'; body: (xml: string) => string }
  /** Answered as by a schema registry that does not know the schema. */
  | { type: 'unknown-schema' }
  /** Not done, and never answered. */
  | { type: 'hang' }

/** A gate in front of the real object store. Signatures stay valid: the Host header passes unchanged. */
export interface S3Gate {
  endpoint: string
  /** The fault of a request, or null to pass it. May wait or do something first. */
  onRequest: (method: string, path: string) => S3Fault | null | Promise<S3Fault | null>
  /** Called after the store's answer, before the client gets it. */
  onAnswer: (method: string, path: string, status: number) => void | Promise<void>
  close(): Promise<void>
}

export async function openS3Gate(target: string): Promise<S3Gate> {
  const server = createServer((req, res) => {
    handle(req, res).catch(() => req.socket.destroy())
  })

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const [method, path] = [req.method ?? '', req.url ?? '']
    const fault = await gate.onRequest(method, path)
    if (fault?.type === 'status') {
      req.resume()
      await once(req, 'end')
      res.writeHead(fault.status, { 'content-type': 'application/xml' })
      res.end(`<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>by the test</Message></Error>`)
      return
    }
    if (fault?.type === 'unknown-schema') {
      res.writeHead(404, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
      res.end('{"error_code":40403,"message":"Schema not found"}')
      return
    }
    if (fault?.type === 'hang') return
    if (fault?.type === 'half-answer') {
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' })
      res.write('{"schema":', () => req.socket.destroy())
      return
    }
    if (fault?.type === 'cut-body') {
      await once(req, 'data')
      req.socket.resetAndDestroy()
      return
    }
    const upstream = request(new URL(path, target), { method, headers: req.headers })
    req.pipe(upstream)
    const [answer] = (await once(upstream, 'response')) as [IncomingMessage]
    await gate.onAnswer(method, path, answer.statusCode ?? 0)
    if (fault?.type === 'lost-answer') {
      answer.resume()
      req.socket.resetAndDestroy()
      return
    }
    if (fault?.type === 'rewrite') {
      const body = Buffer.from(fault.body(await text(answer)))
      const { 'transfer-encoding': _, ...headers } = answer.headers
      res.writeHead(answer.statusCode ?? 502, { ...headers, 'content-length': body.length })
      res.end(body)
      return
    }
    res.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(res)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const gate: S3Gate = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    onRequest: () => null,
    onAnswer: () => undefined,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return gate
}

const entries = /<(Contents|CommonPrefixes)>.*?<\/\1>/gs

/** A listing cut to its first entries: truncated, but without a token for the next part. */
export function cutListing(xml: string, most: number): string {
  let count = 0
  const shorter = xml.replaceAll(entries, (entry) => (++count > most ? '' : entry))
  if (count <= most) return xml
  return shorter
    .replaceAll(/<NextContinuationToken>.*?<\/NextContinuationToken>/gs, '')
    .replace(/<IsTruncated>\w+<\/IsTruncated>/, '<IsTruncated>true</IsTruncated>')
}

/** A listing without the entries whose text matches. */
export function listingWithout(xml: string, left: RegExp): string {
  return xml.replaceAll(entries, (entry) => (left.test(entry) ? '' : entry))
}
