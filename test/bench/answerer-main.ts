import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Pages } from './pages.ts'

// The part of Spotify that a poller with valid tokens needs, as fast as a socket: `Bearer user-N` always gets page
// N - 1 of the load of BENCH_SHAPE. The simulator would make each page per request; here they are made first.
const pages = new Pages(JSON.parse(process.env.BENCH_SHAPE ?? '{}'))
const bodies = Array.from({ length: pages.count }, (_, index) => pages.page(index).body)
const appToken = JSON.stringify({ access_token: 'app', token_type: 'Bearer', expires_in: 3600 })

const server = createServer((request, response) => {
  if (request.method === 'POST') return void response.end(appToken)
  const [, user] = /^Bearer user-(\d+)$/.exec(request.headers.authorization ?? '') ?? []
  const body = bodies[Number(user) - 1]
  if (!body) return void response.writeHead(404).end('{}')
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(JSON.stringify({ msg: 'listening', port: (server.address() as AddressInfo).port }))
process.once('SIGTERM', () => process.exit(0))
