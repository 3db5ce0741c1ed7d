import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { register } from 'prom-client'
import type { Health } from './health.ts'
import type { Resource } from './scope.ts'

export interface HttpEndpoint extends Resource {
  /** The port it listens on; differs from the configured one only if that was 0. */
  port: number
}

/**
 * Serves `/healthz` (200 while the process makes progress, else 503), `/readyz` (200 while it can do its work, else
 * 503) and `/metrics` (Prometheus text).
 *
 * @throws the system's error, e.g. EADDRINUSE
 */
export async function openHttpEndpoint(options: {
  host: string
  port: number
  health: Health
}): Promise<HttpEndpoint> {
  const server = createServer(async (request, response) => {
    const path = request.url?.split('?')[0]
    if (path === '/metrics') {
      response.setHeader('content-type', register.contentType)
      response.end(await register.metrics())
      return
    }
    if (path !== '/healthz' && path !== '/readyz') {
      response.writeHead(404).end()
      return
    }
    const { alive, ready, parts } = options.health.report()
    const ok = path === '/healthz' ? alive : alive && ready
    response.writeHead(ok ? 200 : 503, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ status: ok ? 'ok' : 'failing', parts }))
  })
  server.listen(options.port, options.host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
