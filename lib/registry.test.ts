import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { openRegistry } from './registry.ts'

test('the login in the address goes with a request, and into no error', async () => {
  const logins: unknown[] = []
  const server = createServer((request, response) => {
    logins.push(request.headers.authorization)
    response.writeHead(503).end()
  })
  onTestFinished(() => void server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const registry = openRegistry(`http://me:p%40ss@127.0.0.1:${port}/apis`)
  await expect(registry.lookUp(1)).rejects.toThrow('The schema registry answers 503')
  // The library's request, and the one that confirms its error.
  const login = `Basic ${Buffer.from('me:p@ss').toString('base64')}`
  expect(logins).toEqual([login, login])
  server.close()
  server.closeAllConnections()
  const gone = await registry.lookUp(1).catch(String)
  expect(gone).toContain(`127.0.0.1:${port} does not answer`)
  expect(gone).not.toContain('p@ss')
})
