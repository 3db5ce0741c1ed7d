import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request that passed. */
export interface RecordedRequest {
  path: string
  /** The authorization header, which distinguishes users. */
  authorization: string
  startedAt: number
  /** Null while the request is under way. */
  endedAt: number | null
}

export interface HttpRecorder {
  url: string
  requests: RecordedRequest[]
  close(): Promise<void>
}

/** Passes HTTP on to another server and records the requests in the order of their starts. */
export async function openHttpRecorder(target: string): Promise<HttpRecorder> {
  const requests: RecordedRequest[] = []
  const server = createServer((incoming, outgoing) => {
    const { authorization = '' } = incoming.headers
    const entry: RecordedRequest = {
      path: incoming.url ?? '',
      authorization,
      startedAt: Date.now(),
      endedAt: null,
    }
    requests.push(entry)
    const { method, headers } = incoming
    const passed = request(target + incoming.url, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    passed.on('error', () => outgoing.destroy())
    outgoing.on('close', () => {
      entry.endedAt = Date.now()
    })
    incoming.pipe(passed)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
