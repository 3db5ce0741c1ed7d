import { once } from 'node:events'
import type { Server } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exchange } from './exchange.ts'

const page = Buffer.alloc(300_000, 'a page, and not a short one')

let server: Server
let agent: Agent
let origin: string

beforeAll(async () => {
  server = createServer((request, response) => {
    response.writeHead(200, { 'content-length': page.length })
    if (request.url === '/whole') response.end(page)
    else response.write(page.subarray(0, 100_000))
    if (request.url === '/reset') setTimeout(() => response.destroy(), 20)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  agent = new Agent({ connections: 1 })
})
afterAll(async () => {
  await agent.destroy()
  server.closeAllConnections()
  server.close()
})

const never = new AbortController().signal
const get = (path: string, signal = never) => exchange(agent, { origin, path, method: 'GET' }, signal)

async function expectWhole(answer = get('/whole')): Promise<void> {
  const { status, headers, body } = await answer
  expect(status).toBe(200)
  expect(headers['content-length']).toBe(`${page.length}`)
  expect(body.equals(page)).toBe(true)
}

test('an answer is taken as a whole', async () => {
  await expectWhole()
})

test('an answer that breaks off is an error, and the next one is whole', async () => {
  await expect(get('/reset')).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' })
  await expectWhole()
})

test('a request is given up amid its answer, with the reason of the signal', async () => {
  const given = new AbortController()
  const hanging = get('/half', given.signal)
  setTimeout(() => given.abort(new Error('nobody waits')), 50)
  await expect(hanging).rejects.toThrow('nobody waits')
  await expectWhole()
})

test('a request is given up at once while it waits for its connection', async () => {
  const first = new AbortController()
  const second = new AbortController()
  const hanging = get('/half', first.signal)
  const waiting = get('/half', second.signal)
  const next = get('/whole')
  setTimeout(() => second.abort(new Error('too late')), 50)
  await expect(waiting).rejects.toThrow('too late')
  first.abort(new Error('enough'))
  await expect(hanging).rejects.toThrow('enough')
  await expectWhole(next)
})

test('what was given up before is not sent', async () => {
  let asked = 0
  server.on('request', () => asked++)
  await expect(get('/whole', AbortSignal.abort(new Error('never mind')))).rejects.toThrow('never mind')
  await expectWhole()
  expect(asked).toBe(1)
})
